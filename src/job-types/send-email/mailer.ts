export interface Mail {
  /** Names the message: the same id sent again is the same message. */
  id: string;
  to: string;
  subject: string;
  body: string;
}

/** What became of a message: handed to a server, or written to a file. */
export type SentMail = { messageId: string; accepted: string[] } | { messageId: string; file: string };

/** Sends messages. A refusal that no further attempt can mend is a PermanentFailure. */
export abstract class Mailer {
  abstract send(mail: Mail, signal: AbortSignal): Promise<SentMail>;

  /** @throws Error where this process cannot send: this stops the boot */
  abstract assertReady(): void;
}

/** `<id@domain>`, with the domain of the sender (RFC 5322, 3.6.4): equal for every attempt. */
export function messageId(id: string, from: string): string {
  const [, domain = 'localhost'] = /@([^\s<>@]+)>?$/.exec(from) ?? [];
  return `<${id}@${domain}>`;
}
