import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';

type Answer<Name extends 'getJobs' | 'getJobCounts'> = ReturnType<BullMQAdapter[Name]>;

/** A lane whose server is away shows nothing, and says so: else one of many would take the whole board down. */
export class LaneAdapter extends BullMQAdapter {
  #away = false;

  override getDescription(): string {
    return this.#away ? 'The server of this shard does not answer' : super.getDescription();
  }

  override async getJobCounts(): Answer<'getJobCounts'> {
    try {
      const counts = await super.getJobCounts();
      this.#away = false;
      return counts;
    } catch {
      this.#away = true;
      return Object.fromEntries(this.getStatuses().map((status) => [status, 0]));
    }
  }

  override getJobs(...query: Parameters<BullMQAdapter['getJobs']>): Answer<'getJobs'> {
    return super.getJobs(...query).catch(() => []);
  }

  override isPaused(): Promise<boolean> {
    return super.isPaused().catch(() => false);
  }

  override getJobSchedulersCount(): Promise<number> {
    return super.getJobSchedulersCount().catch(() => 0);
  }

  override getGlobalConcurrency(): Promise<number | null> {
    return super.getGlobalConcurrency().catch(() => null);
  }
}
