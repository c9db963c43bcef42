import type { Application, RequestHandler } from 'express';
import { HttpProblem, type Answer } from './problem.js';

/** The methods that the app's own routes take at a path, as `Allow` lists them; none where no route is there. */
export function allowedMethods(app: Application, path: string): string[] {
  return listed(routesOf(app).flatMap((route) => (route.matches(path) ? route.methods : [])));
}

/**
 * Keeps the name of a fixed route from being taken for a parameter: without it, `GET /jobs/bulk` would be answered by
 * `GET /jobs/:id`.
 */
export function refuseWrongMethods(): RequestHandler {
  let fixed: Map<string, string[]> | undefined;

  return (request, _response, next) => {
    fixed ??= fixedRoutes(request.app);
    const allowed = fixed.get(request.path);
    if (!allowed || allowed.includes(request.method) || request.method === 'OPTIONS') return next();

    next(new HttpProblem(methodNotAllowed(request.method, request.path, allowed)));
  };
}

export function methodNotAllowed(method: string, path: string, allowed: readonly string[]): Answer {
  const allow = allowed.join(', ');
  return {
    status: 405,
    code: 'METHOD_NOT_ALLOWED',
    detail: `${path} does not take ${method}; it takes ${allow}.`,
    headers: { Allow: allow },
  };
}

interface Route {
  path: string;
  methods: string[];
  matches(path: string): boolean;
}

/** Reads Express's router: what stands there is what is answered. Middleware, which takes every method, says nothing. */
function routesOf(app: Application): Route[] {
  return app.router.stack.flatMap((layer) => {
    const handlers = layer.route?.stack ?? [];
    if (!layer.route || handlers.some(({ method }) => !method)) return [];

    const methods = handlers.map(({ method }) => method.toUpperCase());
    return [{ path: layer.route.path, methods, matches: (path: string) => matches(layer, path) }];
  });
}

/** A path that cannot be decoded matches nothing. */
function matches(layer: object, path: string): boolean {
  try {
    return isMatcher(layer) && layer.match(path);
  } catch {
    return false;
  }
}

/** Express's types leave out what its layers can do. */
function isMatcher(layer: object): layer is { match(path: string): boolean } {
  return 'match' in layer && typeof layer.match === 'function';
}

function fixedRoutes(app: Application): Map<string, string[]> {
  const methods = new Map<string, string[]>();
  for (const route of routesOf(app)) {
    if (/[:*{]/.test(route.path)) continue;
    methods.set(route.path, [...(methods.get(route.path) ?? []), ...route.methods]);
  }
  return new Map([...methods].map(([path, found]) => [path, listed(found)]));
}

function listed(methods: readonly string[]): string[] {
  const all = new Set(methods);
  if (all.has('GET')) all.add('HEAD');
  return [...all].sort();
}
