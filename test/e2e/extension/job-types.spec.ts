import { runJob } from 'job-queue-platform/testing';
import { AlwaysFails, RecordEffect } from './job-types.js';
import { Ledger } from './ledger.js';

/** In the place of the team's store: its tests need no server. */
class NoteBook {
  readonly lines: [key: string, jobId: string][] = [];

  record(key: string, { jobId }: { jobId: string }): Promise<void> {
    this.lines.push([key, jobId]);
    return Promise.resolve();
  }
}

describe('the team’s job types, by the test kit of the platform', () => {
  it('record_effect writes its line', async () => {
    const notes = new NoteBook();

    const run = await runJob(
      RecordEffect,
      { key: 'invoice 7' },
      { providers: [{ provide: Ledger, useValue: notes }] },
    );

    expect(run).toMatchObject({ status: 'completed', result: { recorded: 'invoice 7' } });
    expect(notes.lines).toEqual([['invoice 7', expect.any(String)]]);
  });

  it('always_fails does so as often as it is tried', async () => {
    const run = await runJob(AlwaysFails, { message: 'not today' }, { options: { attempts: 2 } });

    expect(run).toMatchObject({ status: 'failed', error: { message: 'not today' } });
    expect(run.attempts).toHaveLength(2);
  });
});
