export interface HomePage {
  version: string;
  /** What goes before the API's paths in links: nothing where this page is the API's own. */
  api: string;
  /** A command to paste. */
  firstJob: string;
}

function links(api: string) {
  return [
    ['/docs', 'API', 'Swagger UI: read it, and try it out'],
    ['/admin/queues', 'Queues', 'Bull Board: what is delivered and running'],
    [`${api}/jobs`, 'Jobs', 'the newest, as JSON'],
    [`${api}/job-types`, 'Job types', 'what can be submitted, with JSON Schema'],
    ['/health/ready', 'Health', 'database, schema and queue'],
  ] as const;
}

/** A page that needs nothing but itself: no script, no other host. */
export function homePage({ version, api, firstJob }: HomePage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Job Queue</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Job Queue <small>${escaped(version)}</small></h1>
<p>Submit background work over REST, let workers run it, and see what became of it.</p>
<nav>
${links(api)
  .map(([href, name, about]) => `<a href="${escaped(href)}"><b>${name}</b><span>${about}</span></a>`)
  .join('\n')}
</nav>
<h2>A first job</h2>
<pre><code>${escaped(firstJob)}</code></pre>
<p>It answers <code>202</code> and a <code>Location</code>: ask there for the job's status.</p>
</main>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2530; --soft: #5d6b7c; --line: #dde3ea; --back: #f7f9fb; --card: #fff; --accent: #2456c4 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf1; --soft: #94a3b5; --line: #2c3643; --back: #12171e; --card: #1a212b; --accent: #86aaff }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { max-width: 46rem; margin: 0 auto; padding: 4rem 1.5rem }
h1 { margin: 0; font-size: 2rem; letter-spacing: -.02em }
h1 small { font-size: .9rem; font-weight: 400; color: var(--soft); letter-spacing: 0 }
h2 { margin: 2.5rem 0 .5rem; font-size: 1.1rem }
p { color: var(--soft) }
nav { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .75rem; margin-top: 2rem }
nav a { display: block; padding: 1rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--card); color: inherit; text-decoration: none }
nav a:hover, nav a:focus-visible { border-color: var(--accent); outline: none }
nav b { display: block; color: var(--accent) }
nav span { font-size: .875rem; color: var(--soft) }
pre { margin: 0; padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: .6rem; background: var(--card) }
code { font: .875rem/1.6 ui-monospace, monospace }
`;
