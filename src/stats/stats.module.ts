import { Module } from '@nestjs/common';
import { GetStatsUseCase } from './get-stats.use-case.js';
import { StatsController } from './http/stats.controller.js';

/** Counts, for people and for monitors. */
@Module({ providers: [GetStatsUseCase], controllers: [StatsController], exports: [GetStatsUseCase] })
export class StatsModule {}
