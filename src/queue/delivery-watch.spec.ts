import { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeliveryWatch } from './delivery-watch.js';

describe('DeliveryWatch', () => {
  beforeAll(() => {
    Logger.overrideLogger(false);
  });

  function setup(write: () => Promise<void> = () => sleep(5)) {
    const written: unknown[] = [];
    let open = 0;
    const record = async (what: unknown) => {
      expect(++open).toBe(1);
      await write().finally(() => open--);
      written.push(what);
    };
    const made = jest.fn(() => ({
      updateProgress: record,
      log: (line: string) => record(line).then(() => 1),
    }));
    return { watch: new DeliveryWatch('a_1', made), made, written };
  }

  it('writes one after another, and only the latest progress', async () => {
    const { watch, written } = setup();

    watch.log(['one', 'two']);
    watch.progress({ percent: 10 });
    watch.progress({ percent: 20, step: 'half' });
    watch.log(['three']);
    await watch.close();

    expect(written).toEqual(['one', { percent: 20, step: 'half' }, 'two', 'three']);
  });

  it('needs no delivery, and no wait, where nothing is reported', () => {
    const { watch, made } = setup();

    expect(watch.close()).toBeUndefined();

    expect(made).not.toHaveBeenCalled();
  });

  it('shows nothing that comes after its close', async () => {
    const { watch, made, written } = setup();
    watch.log(['one']);
    await watch.close();
    made.mockClear();

    watch.log(['two']);
    watch.progress({ percent: 100 });
    await sleep(10);

    expect(written).toEqual(['one']);
    expect(made).not.toHaveBeenCalled();
  });

  it('swallows what the queue refuses', async () => {
    const { watch, written } = setup(() => Promise.reject(new Error('gone')));

    watch.log(['one', 'two']);

    await expect(watch.close()).resolves.toBeUndefined();
    expect(written).toEqual([]);
  });

  it('swallows that there is no delivery to show it in', async () => {
    const { watch, made } = setup();
    made.mockImplementation(() => {
      throw new Error('no connection');
    });

    watch.log(['one', 'two']);

    await expect(watch.close()).resolves.toBeUndefined();
    expect(made).toHaveBeenCalledTimes(2);
  });

  it('gives up after a second when the queue hangs', async () => {
    jest.useFakeTimers();
    try {
      const { watch } = setup(() => new Promise(() => undefined));
      let closed = false;

      watch.progress({ percent: 1 });
      const closing = watch.close()?.then(() => (closed = true));

      await jest.advanceTimersByTimeAsync(999);
      expect(closed).toBe(false);
      await jest.advanceTimersByTimeAsync(1);
      await closing;
    } finally {
      jest.useRealTimers();
    }
  });
});
