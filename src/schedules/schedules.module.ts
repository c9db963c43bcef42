import { Module } from '@nestjs/common';
import { JobsModule } from '../jobs/jobs.module.js';
import { SchedulesController } from './http/schedules.controller.js';
import { ScheduleTicker } from './schedule-ticker.js';
import { DeleteScheduleUseCase } from './use-cases/delete-schedule.use-case.js';
import { FireDueSchedulesUseCase } from './use-cases/fire-due-schedules.use-case.js';
import { GetScheduleUseCase } from './use-cases/get-schedule.use-case.js';
import { ListSchedulesUseCase } from './use-cases/list-schedules.use-case.js';
import { PutScheduleUseCase } from './use-cases/put-schedule.use-case.js';

/**
 * Jobs at set times. It ticks where the API is: an installation that takes jobs has one, while its workers may be away
 * or busy, and a time that is fired without them waits as a job.
 */
@Module({
  imports: [JobsModule],
  controllers: [SchedulesController],
  providers: [
    PutScheduleUseCase,
    GetScheduleUseCase,
    ListSchedulesUseCase,
    DeleteScheduleUseCase,
    FireDueSchedulesUseCase,
    ScheduleTicker,
  ],
})
export class SchedulesModule {}
