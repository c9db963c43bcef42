import type { RedisServers } from './redis-servers.js';

/** One queue that a worker serves, and how many of its jobs may run at once in this process. */
export interface ServedQueue {
  name: string;
  concurrency: number;
}

/** Days that a finished job is kept; 0: for ever. */
export type StatusDays = Partial<Record<'completed' | 'failed' | 'cancelled', number>>;

/** Where outbound requests may go although the address is not public: every port where none is given. */
export interface AllowedDestination {
  /** A name, or an address without brackets. */
  host: string;
  /** Makes the address a network. */
  prefix?: number;
  port?: number;
}

/**
 * Everything the platform can be told, parsed once before Nest and frozen.
 * A class, so that it can be injected by type.
 */
export abstract class AppConfig {
  /** Processes of this entry point that share its work; more than 1 in the API and the worker alone. */
  abstract readonly processes: number;
  abstract readonly http: {
    readonly host: string;
    readonly port: number;
    /** Largest request body, in bytes. */
    readonly bodyLimit: number;
    /** Of all request bodies that a process holds at once, in bytes. */
    readonly bodyTotalLimit: number;
    /** Allowed origins; `['*']` allows any, an empty list none. */
    readonly corsOrigins: readonly string[];
    /** Requests a minute a client and a process; 0 disables the limit. */
    readonly rateLimitPerMinute: number;
    /** Express `trust proxy`: how many proxies stand before the API. */
    readonly trustProxy: number;
    /** Where clients reach the API, without a slash at the end; undefined where it is the process itself. */
    readonly apiPublicUrl?: string;
    /** Swagger UI and Bull Board mounted in the API. */
    readonly ui: boolean;
    /** Accepted keys; an empty list means that no key is asked for. */
    readonly apiKeys: readonly string[];
    /** Public names that are answered to where no key is asked for. */
    readonly allowedHosts: readonly string[];
  };
  abstract readonly database: {
    readonly url: string;
    readonly poolSize: number;
    /** A replica that lists are read from; undefined where the process has no API. */
    readonly readUrl?: string;
  };
  abstract readonly submit: {
    /** How long an idempotency key is kept, in ms. */
    readonly idempotencyTtl: number;
    /** Waiting jobs of a queue past which submits for it are refused; 0: no limit. */
    readonly maxDepth: number;
    /** Age of a queue's oldest waiting job past which they are, in ms; 0: no limit. */
    readonly maxAge: number;
    /** Lag of the event loop past which submits are refused, in ms; 0: no limit. */
    readonly maxLoopLag: number;
  };
  abstract readonly retention: {
    /** Days that finished jobs are kept; 0: for ever. */
    readonly days: number;
    /** What differs from it. */
    readonly statusDays: Readonly<StatusDays>;
  };
  abstract readonly queue: {
    readonly backend: 'redis' | 'postgres';
    readonly redis?: RedisServers;
    readonly prefix: string;
    readonly shards: number;
  };
  abstract readonly worker: {
    /** The queues served here; empty: every queue that the job types name, each with `concurrency`. */
    readonly queues: readonly ServedQueue[];
    readonly concurrency: number;
    /** How long running jobs get at shutdown before they are handed back, in ms. */
    readonly shutdownGrace: number;
  };
  abstract readonly sandbox: {
    /** In which sandboxed job types run, one job each. */
    readonly threads: number;
    /** Of the heap of each, in MB. */
    readonly memory: number;
  };
  abstract readonly mail: {
    readonly smtpUrl?: string;
    /** Where messages are written when there is no SMTP server (standalone). */
    readonly directory?: string;
    readonly from: string;
  };
  abstract readonly outbound: {
    /** Beside what is public. */
    readonly allowed: readonly AllowedDestination[];
  };
  abstract readonly log: {
    readonly level: 'debug' | 'log' | 'warn' | 'error';
    readonly format: 'pretty' | 'json';
  };
  /** Files of Nest modules, loaded beside the built-in ones. */
  abstract readonly extensions: readonly string[];
  abstract readonly dataDir: string;
}
