import { STATUS_CODES, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { codeOfStatus } from './problem.js';

const STATUS_OF_PARSER_ERROR: Record<string, number> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** What is not even HTTP reaches no filter: it is answered here, and the connection closed. */
export function answerBrokenRequests(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    socket.end(rawProblem(STATUS_OF_PARSER_ERROR[error.code ?? ''] ?? 400));
  });
}

function rawProblem(status: number): string {
  const title = STATUS_CODES[status] ?? 'Bad Request';
  const detail = 'The request could not be read as HTTP.';
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, code: codeOfStatus(status) });
  return [
    `HTTP/1.1 ${status} ${title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
