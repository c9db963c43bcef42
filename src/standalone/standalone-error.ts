/** `npm start` cannot go on, and the user can mend it: the message is one line, written for them. */
export class StandaloneError extends Error {
  override readonly name = 'StandaloneError';
}
