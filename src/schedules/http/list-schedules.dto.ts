import { ApiPropertyOptional } from '@nestjs/swagger';
import { DigitsIn, Parsed } from '../../http/constraints.js';
import { decodeCursor, encodeCursor } from '../../http/cursor.js';
import { Optional } from '../../http/dto-reader.js';
import { NAME } from '../schedule.js';

export class ListSchedulesDto {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 200, default: 50 })
  @Optional()
  @DigitsIn(1, 200)
  limit?: string;

  @ApiPropertyOptional({ description: '`nextCursor` of the page before.' })
  @Optional()
  @Parsed(nameIn, 'is not a cursor of this list')
  cursor?: string;
}

export function schedulePageOf({ limit = '50', cursor }: ListSchedulesDto): {
  limit: number;
  after?: string;
} {
  return { limit: Number(limit), after: cursor === undefined ? undefined : nameIn(cursor) };
}

export function cursorAfterSchedule(name: string): string {
  return encodeCursor('schedules', name);
}

function nameIn(cursor: string): string | undefined {
  const name = decodeCursor('schedules', cursor);
  return name !== undefined && NAME.test(name) ? name : undefined;
}
