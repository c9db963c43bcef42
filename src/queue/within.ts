/** The answer of `work`, or an error once `ms` have passed; `work` itself goes on. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  work.catch(() => undefined); // it may still fail when nobody waits for it any more

  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
