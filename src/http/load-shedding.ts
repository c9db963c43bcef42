import { Injectable } from '@nestjs/common';
import type { RequestHandler } from 'express';
import { AppConfig } from '../config/app-config.js';
import { Overloaded } from '../jobs/job.errors.js';
import { Refusals } from '../jobs/overload/refusals.js';
import { BodyBudget } from './body-budget.js';
import { carriesBody } from './json-body.js';
import { LoopLag } from './loop-lag.js';

const SUBMIT = /^\/jobs(?:\/bulk)?\/?$/i;

/** Refuses work that this process has no room or no time for, before its body is read. Probes and reads are let through. */
@Injectable()
export class LoadShedding {
  readonly #bodies: BodyBudget;
  readonly #late = new Refusals('event loop late');
  readonly #large = new Refusals('too many bodies at once');

  constructor(
    private readonly loop: LoopLag,
    { http }: AppConfig,
  ) {
    this.#bodies = new BodyBudget(http.bodyTotalLimit, http.bodyLimit);
  }

  /** Of requests under way. */
  get bodyBytes(): number {
    return this.#bodies.bytes;
  }

  get refused(): { late: number; large: number } {
    return { late: this.#late.count, large: this.#large.count };
  }

  readonly middleware: RequestHandler = (request, response, next) => {
    if (!carriesBody(request)) return next();
    if (this.loop.overLimit && request.method === 'POST' && SUBMIT.test(request.path)) {
      this.#late.add({ lagMs: Math.round(this.loop.lag) });
      return next(new Overloaded('This process is late with all that it does; try again.'));
    }
    const giveBack = this.#bodies.take(request);
    if (!giveBack) {
      this.#large.add({ bodyBytes: this.#bodies.bytes });
      return next(new Overloaded('This process holds too many request bodies at the moment; try again.'));
    }
    response.once('close', giveBack);
    next();
  };
}
