const VERSION = 1;

/** Hides where a page ended, so that clients do not build on it. `kind` keeps one list's cursor out of another. */
export function encodeCursor(kind: string, position: string | number): string {
  return Buffer.from(`${VERSION}.${kind}.${position}`).toString('base64url');
}

/** @returns undefined for what `encodeCursor` did not make for this kind */
export function decodeCursor(kind: string, cursor: string): string | undefined {
  const text = Buffer.from(cursor, 'base64url').toString();
  const start = `${VERSION}.${kind}.`;
  if (!text.startsWith(start) || Buffer.from(text).toString('base64url') !== cursor) return undefined;
  return text.slice(start.length);
}
