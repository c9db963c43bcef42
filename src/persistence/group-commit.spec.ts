import { GroupCommit, type GroupCommitOptions } from './group-commit.js';

/** An error as PostgreSQL's driver throws it. */
function refusal(code: string): Error {
  return Object.assign(new Error(`refused with ${code}`), { code });
}

/** Batches as they arrive; each answers when it is told to, or at once. */
function setup(options?: GroupCommitOptions<string>, answer: (items: string[]) => void = () => undefined) {
  const batches: string[][] = [];
  const commits = new GroupCommit<string, string>(async (items) => {
    batches.push(items);
    await new Promise((resolve) => setImmediate(resolve));
    answer(items);
    return items.map((item) => item.toUpperCase());
  }, options);
  const submitAll = (items: string) => Promise.allSettled([...items].map((item) => commits.submit(item)));
  return { batches, commits, submitAll };
}

function outcomes(settled: PromiseSettledResult<string>[]): string[] {
  return settled.map((one) => (one.status === 'fulfilled' ? one.value : `${(one.reason as Error).message}`));
}

describe('sharing', () => {
  it('gives all that one turn brings in to one flush, and each its own answer', async () => {
    const { batches, submitAll } = setup();

    expect(outcomes(await submitAll('abc'))).toEqual(['A', 'B', 'C']);

    expect(batches).toEqual([['a', 'b', 'c']]);
  });

  it('gathers what comes while a flush is under way, and flushes it as soon as that returns', async () => {
    const { batches, commits } = setup();
    const first = commits.submit('a');
    await new Promise((resolve) => setImmediate(resolve));
    expect(batches).toEqual([['a']]);

    const others = Promise.all([commits.submit('b'), commits.submit('c')]);
    expect(batches).toHaveLength(1);

    expect(await first).toBe('A');
    expect(await others).toEqual(['B', 'C']);
    expect(batches).toEqual([['a'], ['b', 'c']]);
  });

  it('has one flush in flight at a time', async () => {
    let inFlight = 0;
    let most = 0;
    const commits = new GroupCommit<number, number>(
      async (items) => {
        most = Math.max(most, ++inFlight);
        await new Promise((resolve) => setImmediate(resolve));
        inFlight--;
        return items;
      },
      { limits: { rows: 2, bytes: Infinity } },
    );

    await Promise.all(Array.from({ length: 9 }, (_, n) => commits.submit(n)));

    expect(most).toBe(1);
  });

  it('starts again after it was idle', async () => {
    const { batches, commits } = setup();

    await commits.submit('a');
    await commits.submit('b');

    expect(batches).toEqual([['a'], ['b']]);
  });
});

describe('limits', () => {
  it('keep a flush to so many rows', async () => {
    const { batches, submitAll } = setup({ limits: { rows: 3, bytes: Infinity }, rowsOf: Number });

    await submitAll('11121');

    expect(batches).toEqual([
      ['1', '1', '1'],
      ['2', '1'],
    ]);
  });

  it('keep a flush to so many bytes', async () => {
    const { batches, submitAll } = setup({ limits: { rows: 100, bytes: 5 }, bytesOf: Number });

    await submitAll('2323');

    expect(batches).toEqual([
      ['2', '3'],
      ['2', '3'],
    ]);
  });

  it('let a single item through that exceeds them alone', async () => {
    const { batches, submitAll } = setup({ limits: { rows: 2, bytes: Infinity }, rowsOf: Number });

    expect(outcomes(await submitAll('191'))).toEqual(['1', '9', '1']);

    expect(batches).toEqual([['1'], ['9'], ['1']]);
  });
});

describe('an error in the data', () => {
  const poison = (bad: string, code = '22P02') =>
    setup(undefined, (items) => {
      if (items.some((item) => bad.includes(item))) throw refusal(code);
    });

  it('fails its item alone, and its neighbours commit', async () => {
    const { submitAll } = poison('c');

    expect(outcomes(await submitAll('abcdefgh'))).toEqual([
      ...['A', 'B', 'refused with 22P02', 'D', 'E', 'F', 'G', 'H'],
    ]);
  });

  it('is found by halving, not by trying one by one', async () => {
    const { batches, submitAll } = poison('z');

    await submitAll(`${'a'.repeat(63)}z`);

    expect(batches).toHaveLength(1 + 2 * Math.log2(64));
  });

  it('may be in several items, and in any place', async () => {
    const { submitAll } = poison('aeh', '23505');

    expect(outcomes(await submitAll('abcdefgh')).map((answer) => answer[0])).toEqual([
      ...['r', 'B', 'C', 'D', 'r', 'F', 'G', 'r'],
    ]);
  });

  it('leaves what waits behind it alone', async () => {
    const { commits, submitAll } = poison('a');
    const first = submitAll('ab');
    await new Promise((resolve) => setImmediate(resolve));

    expect(await commits.submit('c')).toBe('C');
    expect(outcomes(await first)).toEqual(['refused with 22P02', 'B']);
  });
});

describe('a deadlock', () => {
  it('is tried again, whole', async () => {
    let deadlocks = 2;
    const { batches, submitAll } = setup(undefined, () => {
      if (deadlocks-- > 0) throw refusal('40P01');
    });

    expect(outcomes(await submitAll('ab'))).toEqual(['A', 'B']);

    expect(batches).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });

  it('that never ends is told after five tries, to that batch alone', async () => {
    const { batches, commits, submitAll } = setup(undefined, ([first]) => {
      if (first === 'a') throw refusal('40P01');
    });
    const first = submitAll('ab');
    await new Promise((resolve) => setImmediate(resolve));

    expect(await commits.submit('c')).toBe('C');
    expect(outcomes(await first)).toEqual(['refused with 40P01', 'refused with 40P01']);
    expect(batches).toHaveLength(6);
  });
});

describe('a lock timeout', () => {
  it('is waited for twice, not by every row, where the whole table is locked', async () => {
    let waits = 0;
    const commits = new GroupCommit(() => {
      waits++;
      return Promise.reject(refusal('55P03'));
    });

    const answers = await Promise.allSettled([...'abcdefgh'].map((item) => commits.submit(item)));

    expect(answers.every(({ status }) => status === 'rejected')).toBe(true);
    expect(waits).toBe(3);
  });

  it('goes on one by one, so that only the locked row fails', async () => {
    const { batches, submitAll } = setup(undefined, (items) => {
      if (items.includes('b')) throw refusal('55P03');
    });

    expect(outcomes(await submitAll('abc'))).toEqual(['A', 'refused with 55P03', 'C']);

    expect(batches).toEqual([['a', 'b', 'c'], ['a'], ['b'], ['c']]);
  });

  it('leaves what waits behind it alone', async () => {
    const { commits, submitAll } = setup(undefined, (items) => {
      if (items.includes('a')) throw refusal('55P03');
    });
    const first = submitAll('a');
    await new Promise((resolve) => setImmediate(resolve));

    expect(await commits.submit('b')).toBe('B');
    expect(outcomes(await first)).toEqual(['refused with 55P03']);
  });
});

describe('an outage', () => {
  it.each([
    ['of the connection', Object.assign(new Error('ECONNREFUSED'), { code: 'ECONNREFUSED' })],
    ['of the server', refusal('57P01')],
    ['for want of connections', refusal('53300')],
  ])('%s fails all that waits at once, and what comes later is tried anew', async (_what, error) => {
    let down = true;
    const { batches, commits, submitAll } = setup({ limits: { rows: 1, bytes: Infinity } }, () => {
      if (down) throw error;
    });

    const answers = await submitAll('abc');
    expect(answers.map((answer): unknown => answer.status === 'rejected' && answer.reason)).toEqual([
      error,
      error,
      error,
    ]);
    expect(batches).toEqual([['a']]);

    down = false;
    expect(await commits.submit('d')).toBe('D');
  });

  it('is not made of an error of another kind: then only its batch fails', async () => {
    const { commits, submitAll } = setup(undefined, ([first]) => {
      if (first === 'a') throw refusal('42P01');
    });
    const first = submitAll('ab');
    await new Promise((resolve) => setImmediate(resolve));

    expect(await commits.submit('c')).toBe('C');
    expect(outcomes(await first)).toEqual(['refused with 42P01', 'refused with 42P01']);
  });
});
