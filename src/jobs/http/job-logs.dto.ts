import { ApiPropertyOptional } from '@nestjs/swagger';
import { DigitsIn, Parsed } from '../../http/constraints.js';
import { decodeCursor, encodeCursor } from '../../http/cursor.js';
import { Optional } from '../../http/dto-reader.js';

export class JobLogsDto {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 1000, default: 200 })
  @Optional()
  @DigitsIn(1, 1000)
  limit?: string;

  @ApiPropertyOptional({ description: '`nextCursor` of the page before.' })
  @Optional()
  @Parsed(seqIn, 'is not a cursor of this list')
  cursor?: string;
}

export function logPageOf({ limit = '200', cursor }: JobLogsDto): { limit: number; afterSeq?: number } {
  return { limit: Number(limit), afterSeq: cursor === undefined ? undefined : seqIn(cursor) };
}

export function cursorAfterLine(seq: number): string {
  return encodeCursor('logs', seq);
}

function seqIn(cursor: string): number | undefined {
  const seq = decodeCursor('logs', cursor);
  return seq !== undefined && /^\d{1,15}$/.test(seq) ? Number(seq) : undefined;
}
