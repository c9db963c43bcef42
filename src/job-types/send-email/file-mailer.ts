import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { createTransport } from 'nodemailer';
import { Mailer, messageId, type Mail, type SentMail } from './mailer.js';

/** Writes each message to `<id>.eml` instead of sending it; the same id again replaces its file. */
export class FileMailer extends Mailer {
  readonly #transport = createTransport({
    streamTransport: true,
    newline: 'windows',
    disableFileAccess: true,
    disableUrlAccess: true,
  });

  constructor(
    private readonly directory: string,
    private readonly from: string,
  ) {
    super();
  }

  async send({ id, to, subject, body }: Mail, signal: AbortSignal): Promise<SentMail> {
    signal.throwIfAborted();
    const message = { messageId: messageId(id, this.from), from: this.from, to, subject, text: body };
    const composed = await this.#transport.sendMail(message);
    const file = join(this.directory, `${id}.eml`);

    await mkdir(this.directory, { recursive: true });
    await writeAtomically(file, composed.message, signal);
    return { messageId: composed.messageId, file };
  }

  assertReady(): void {
    // The folder is made with the first message.
  }
}

/** Whoever looks at the folder never sees half a message. */
async function writeAtomically(file: string, content: Readable | Buffer, signal: AbortSignal): Promise<void> {
  const draft = `${file}.${randomUUID()}.tmp`;
  try {
    await writeFile(draft, content, { signal });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    signal.throwIfAborted();
    throw error;
  }
}
