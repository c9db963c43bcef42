/**
 * Keeps connections busy with autocannon, first to warm up and then to measure, and writes what was seen as one line of
 * JSON. Answers are counted, and time is taken, here: autocannon rounds both to whole seconds in places.
 *
 *   node load.mjs '{ "url": …, "requests": [{ "method", "path", "body" }], "connections": 64, "warmUp": 1, "seconds": 5 }'
 *
 * With `copies` the body is `{ "jobs": [ … ] }`, so often the same: a command line would not hold it.
 */
import autocannon from 'autocannon';

const { warmUp, seconds, connections, url, requests } = JSON.parse(process.argv[2]);
const target = { url, connections, requests: requests.map(withBody) };
const warm = await load(warmUp);
const measured = await load(seconds);
console.log(JSON.stringify({ ...measured, answersBefore: warm.answers }));

function withBody({ method, path, body, copies }) {
  const sent = copies ? { jobs: Array(copies).fill(body) } : body;
  return { method, path, ...(sent && { body: JSON.stringify(sent) }) };
}

async function load(duration) {
  const latencies = [];
  let refused = 0;
  let started = 0;
  let ended = 0;
  const before = process.cpuUsage();
  const { errors } = await new Promise((resolve, reject) => {
    const run = autocannon(
      { ...target, headers: { 'content-type': 'application/json' }, duration },
      (error, result) => (error ? reject(error) : resolve(result)),
    );
    run.on('start', () => (started = performance.now()));
    run.on('response', (_client, status, _bytes, ms) => {
      ended = performance.now();
      if (status >= 200 && status < 300) latencies.push(ms);
      else refused++;
    });
  });
  if (refused > 0 || errors > 0) throw new Error(`${refused} requests were refused, ${errors} broke`);

  const { user, system } = process.cpuUsage(before);
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))];
  return {
    answers: latencies.length,
    seconds: (ended - started) / 1_000,
    p50: at(0.5),
    p99: at(0.99),
    cpuSeconds: (user + system) / 1e6,
  };
}
