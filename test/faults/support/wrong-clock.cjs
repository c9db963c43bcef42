// Loaded before a process's own code (NODE_OPTIONS=--require): its wall clock is wrong by CLOCK_SHIFT_MS.
const shift = Number(process.env.CLOCK_SHIFT_MS);

globalThis.Date = new Proxy(Date, {
  construct: (real, parameters) =>
    parameters.length > 0 ? new real(...parameters) : new real(real.now() + shift),
  apply: (real) => new real(real.now() + shift).toString(),
  get: (real, name) => (name === 'now' ? () => real.now() + shift : Reflect.get(real, name)),
});
