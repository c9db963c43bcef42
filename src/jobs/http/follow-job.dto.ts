import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import type { Request } from 'express';
import { DigitsIn } from '../../http/constraints.js';
import { Optional } from '../../http/dto-reader.js';
import { ValidationFailed } from '../job.errors.js';
import type { JobNews } from '../use-cases/follow-job.use-case.js';

export class WaitDto {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: 60,
    description: 'Seconds to wait for its end. What comes first is answered: the end, or how it stands then.',
  })
  @Optional()
  @DigitsIn(1, 60)
  wait?: string;
}

const HEADER = 'Last-Event-ID';

/** The id of the last event that a client has seen, or undefined. @throws ValidationFailed naming the header */
export const LastEventId = createParamDecorator((_none: unknown, context: ExecutionContext) => {
  const id = context.switchToHttp().getRequest<Request>().get(HEADER);
  if (id === undefined || id === '') return undefined;
  if (/^\d{1,15}$/.test(id)) return Number(id);
  throw new ValidationFailed([{ path: HEADER, message: 'must be the id of an event of this stream' }]);
});

/** What an event of the stream carries. */
export function newsData(news: JobNews): unknown {
  switch (news.kind) {
    case 'log': {
      const { run, attempt, at, line } = news.line;
      return { run, attempt, at: at.toISOString(), line };
    }
    case 'state': {
      const { status, run, attemptsMade, progress } = news.pulse;
      return { status, run, attemptsMade, progress };
    }
    case 'end': {
      const { status, result, error, finishedAt } = news.job;
      return { status, result, error, finishedAt: finishedAt?.toISOString() ?? null };
    }
  }
}
