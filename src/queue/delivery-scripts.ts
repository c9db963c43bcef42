import type { Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import type { DeliveryEntry } from './queue-connection.js';
import { RETENTION } from './retention.js';

/**
 * BullMQ moves one delivery a script, and a script costs Redis ten times what its commands do. These move many, over the
 * very keys of BullMQ: its other scripts (locks, stalled deliveries, Bull Board's own) find what they would have made.
 * They leave out what this platform's deliveries never have (parents, deduplication, delays, limits), and the
 * stream of events, which nobody here reads. Written for BullMQ 6.7; a test holds them against BullMQ's own.
 */

/**
 * Adds deliveries, and leaves those alone that the queue knows.
 * Keys: prioritized, pc, meta, id, marker. Arguments: prefix of the deliveries' keys, now (ms), the options of all before
 * and after their priority, then for each its id, type, data, priority.
 */
const ADD = `
local prefix, now, before, after = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local scored = {}
for at = 5, #ARGV, 4 do
  local id, priority = ARGV[at], ARGV[at + 3]
  local key = prefix .. id
  if redis.call('EXISTS', key) == 0 then
    redis.call('HSET', key, 'name', ARGV[at + 1], 'data', ARGV[at + 2], 'opts', before .. priority .. after,
      'timestamp', now, 'delay', 0, 'priority', priority)
    scored[#scored + 1] = priority
    scored[#scored + 1] = id
  end
end
local count = #scored / 2
if count == 0 then return 0 end

redis.call('INCRBY', KEYS[4], count)
local number = redis.call('INCRBY', KEYS[2], count) - count
for at = 1, #scored, 2 do
  number = number + 1
  scored[at] = string.format('%d', scored[at] * 0x100000000 + number % 0x100000000)
end
redis.call('ZADD', KEYS[1], unpack(scored))
if not redis.call('HGET', KEYS[3], 'paused') then redis.call('ZADD', KEYS[5], 0, '0') end
return count`;

/**
 * Ends deliveries, and takes others.
 * Keys: wait, active, prioritized, stalled, delayed, meta, marker, pc, completed, failed. Arguments: prefix, now (ms), how
 * long a lock holds (ms), the worker's name, how many completed and failed ones are kept, what the tokens of those to take
 * begin with, the number before the first of them, how many may be taken; then for each that ends its id, its token without
 * that beginning, the result or the reason, the stack trace, which is empty where it is completed.
 * Answers with a code for each that was to end (0; 1 where it had ended before, which somebody asks whose first answer was
 * lost; or BullMQ's for a lock or a delivery that is lost), with the ids that were taken, in the order of their tokens, and
 * with those of them that were taken before. Instead of ids with false where the queue is paused, limited or has delayed
 * ones: that is for BullMQ's own script to judge.
 */
const END_AND_TAKE = `
local prefix, now, room = ARGV[1], ARGV[2], tonumber(ARGV[9])
local codes = {}

-- ZPOPMIN would write down each score.
local function first(set, count)
  local ids = redis.call('ZRANGE', set, 0, count - 1)
  if #ids > 0 then redis.call('ZREMRANGEBYRANK', set, 0, #ids - 1) end
  return ids
end

local function trim(set, kept)
  local excess = redis.call('ZCARD', set) - kept
  if excess <= 0 then return end
  local keys = {}
  for nth, id in ipairs(first(set, math.min(excess, 1000))) do
    keys[nth * 2 - 1] = prefix .. id
    keys[nth * 2] = prefix .. id .. ':logs'
  end
  redis.call('UNLINK', unpack(keys))
end

if #ARGV > 9 then
  local locks = {}
  for at = 10, #ARGV, 4 do locks[#locks + 1] = prefix .. ARGV[at] .. ':lock' end
  local held = redis.call('MGET', unpack(locks))
  local open, ids, completed, failed = {}, {}, {}, {}
  for nth = 1, #locks do
    local at = 6 + nth * 4
    local id, value, stack = ARGV[at], ARGV[at + 2], ARGV[at + 3]
    if held[nth] ~= ARGV[7] .. ARGV[at + 1] then
      codes[nth] = held[nth] and -6 or redis.call('HEXISTS', prefix .. id, 'finishedOn') == 1 and 1 or -2
    else
      open[#open + 1] = locks[nth]
      ids[#ids + 1] = id
      if redis.call('LREM', KEYS[2], -1, id) == 0 then
        codes[nth] = -3
      else
        codes[nth] = 0
        if stack == '' then
          redis.call('HSET', prefix .. id, 'returnvalue', value, 'finishedOn', now, 'atm', 1)
        else
          redis.call('HSET', prefix .. id, 'failedReason', value, 'finishedOn', now, 'atm', 1, 'stacktrace', stack)
        end
        local set = stack == '' and completed or failed
        set[#set + 1] = now
        set[#set + 1] = id
      end
    end
  end
  if #ids > 0 then
    redis.call('DEL', unpack(open))
    redis.call('SREM', KEYS[4], unpack(ids))
  end
  if #completed > 0 then
    redis.call('ZADD', KEYS[9], unpack(completed))
    trim(KEYS[9], tonumber(ARGV[5]))
  end
  if #failed > 0 then
    redis.call('ZADD', KEYS[10], unpack(failed))
    trim(KEYS[10], tonumber(ARGV[6]))
  end
end

if room == 0 then return { codes, {}, {} } end
local meta = redis.call('HMGET', KEYS[6], 'paused', 'concurrency', 'max')
if meta[1] or meta[2] or meta[3] or redis.call('ZCARD', KEYS[5]) > 0 then return { codes, false, {} } end

local taken, again = {}, {}
while #taken < room do
  local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
  if not id then break end
  taken[#taken + 1] = id
end
if #taken < room then
  local ids = first(KEYS[3], room - #taken)
  if #ids > 0 then redis.call('LPUSH', KEYS[2], unpack(ids)) else redis.call('DEL', KEYS[8]) end
  for _, id in ipairs(ids) do taken[#taken + 1] = id end
end
for nth, id in ipairs(taken) do
  local key = prefix .. id
  redis.call('SET', key .. ':lock', ARGV[7] .. string.format('%d', ARGV[8] + nth), 'PX', ARGV[3])
  local starts = redis.call('HGET', key, 'ats')
  if starts then again[#again + 1] = id end
  redis.call('HSET', key, 'processedOn', now, 'pb', ARGV[4], 'ats', (starts or 0) + 1)
end
if redis.call('ZCARD', KEYS[3]) + redis.call('LLEN', KEYS[1]) > 0 then redis.call('ZADD', KEYS[7], 0, '0') end
return { codes, taken, again }`;

/** A client that knows the scripts. */
export interface DeliveryScripts {
  addDeliveries(...keysAndArguments: (string | number)[]): Promise<number>;
  endAndTake(
    ...keysAndArguments: (string | number)[]
  ): Promise<[codes: number[], taken: string[] | null, again: string[]]>;
}

/** Teaches a client the scripts. */
export function withDeliveryScripts<Client extends Redis | Cluster>(
  client: Client,
): Client & DeliveryScripts {
  if (!('endAndTake' in client)) {
    client.defineCommand('addDeliveries', { numberOfKeys: 5, lua: ADD });
    client.defineCommand('endAndTake', { numberOfKeys: 10, lua: END_AND_TAKE });
  }
  return client as Client & DeliveryScripts;
}

/** `unpack` bears some thousands, and a script holds up everybody else's. */
const MOST_ADDED = 500;

const ADDED_TO = ['prioritized', 'pc', 'meta', 'id', 'marker', ''];

/** @param keys of the BullMQ queue; '' stands before those of its deliveries */
export async function addInScripts(
  client: Redis | Cluster,
  keys: Queue['keys'],
  entries: readonly DeliveryEntry[],
): Promise<void> {
  const scripts = withDeliveryScripts(client);
  const head = ADDED_TO.map((key) => keys[key] ?? '');
  for (let from = 0; from < entries.length; from += MOST_ADDED) {
    const words = entries.slice(from, from + MOST_ADDED).flatMap(wordsOf);
    await scripts.addDeliveries(...head, Date.now(), ...OPTIONS, ...words);
  }
}

function wordsOf({ id, name, data, priority }: DeliveryEntry): (string | number)[] {
  return [id, name, JSON.stringify(data), priority];
}

/** As BullMQ writes them, before and after the priority. */
const OPTIONS = ['{"attempts":1,"priority":', `,${JSON.stringify(optionsOf(RETENTION)).slice(1)}`] as const;

function optionsOf({ keepLogs, ...kept }: typeof RETENTION): object {
  return { kl: keepLogs, ...kept };
}
