import { STATUS_CODES } from 'node:http';
import { HttpException } from '@nestjs/common';
import type { Response } from 'express';
import type { Violation } from '../jobs/job.errors.js';

/** RFC 9457 problem details. `code` says what `type` and `title`, which follow the status, do not. */
export interface Problem {
  type: 'about:blank';
  title: string;
  status: number;
  detail: string;
  code: string;
  /** The path that was asked for, without its query. */
  instance: string;
  errors?: Violation[];
  /** Extension members, such as the checks of a failed readiness probe. */
  [member: string]: unknown;
}

/** What an error comes to over HTTP, before the request is known. */
export interface Answer {
  status: number;
  code: string;
  detail: string;
  headers?: Record<string, string>;
  members?: Record<string, unknown>;
}

/** A refusal that the HTTP edge makes by itself, such as a missing key or a wrong method. */
export class HttpProblem extends HttpException {
  constructor(readonly answer: Answer) {
    super(answer.detail, answer.status);
  }
}

/** `404` → `NOT_FOUND` */
export function codeOfStatus(status: number): string {
  return titleOf(status)
    .toUpperCase()
    .replaceAll(/[^A-Z]+/g, '_');
}

export function sendProblem(response: Response, instance: string, answer: Answer): void {
  const { status, code, detail, headers = {}, members = {} } = answer;
  const problem: Problem = {
    type: 'about:blank',
    title: titleOf(status),
    status,
    detail,
    code,
    instance,
    ...members,
  };
  response.status(status).set(headers).type('application/problem+json').send(JSON.stringify(problem));
}

function titleOf(status: number): string {
  return STATUS_CODES[status] ?? 'Error';
}
