import { ApiProperty } from '@nestjs/swagger';

export class AliveView {
  @ApiProperty({ enum: ['ok'] })
  status!: 'ok';

  @ApiProperty({ example: '0.1.0' })
  version!: string;
}

export class ReadyView {
  @ApiProperty({ enum: ['ok', 'degraded'] })
  status!: 'ok' | 'degraded';

  @ApiProperty({ example: '0.1.0' })
  version!: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    example: { database: { status: 'up' }, migrations: { status: 'up' }, queue: { status: 'up' } },
  })
  checks!: object;
}
