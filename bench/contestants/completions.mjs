/** Counts completions where no record does, and tells when the first and the last came, in ms since 1970. */
export function completions(expected) {
  let count = 0;
  return () => {
    count++;
    if (count === 1) tell('first');
    if (count === expected) tell('last');
  };
}

const tell = (what) => console.log(`${what} ${performance.timeOrigin + performance.now()}`);
