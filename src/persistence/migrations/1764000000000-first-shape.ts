import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The shape that scales: `jobs`, attempts, events and logs in daily partitions by job id (UUIDv7), live work in the
 * narrow `dispatch`, rare outcomes in `dead_letters`, and no index on a state column of `jobs`.
 */
export class FirstShape1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(UUID_V7);
    await runner.query(JOB_SHARD);
    await runner.query(JOBS);
    await runner.query(HISTORY);
    await runner.query(DISPATCH);
    await runner.query(DEAD_LETTERS);
    await runner.query(PROCESSES);
    await runner.query(PARTITIONS);
    await runner.query(`SELECT ensure_partitions(1, 7)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION ensure_partitions(int, int)`);
    await runner.query(`DROP TABLE relay_leases, topology, queue_pauses, workers, dead_letters, dispatch`);
    await runner.query(`DROP TABLE job_logs, job_events, job_attempts, jobs`);
    await runner.query(`DROP FUNCTION job_shard(uuid, int)`);
    await runner.query(`DROP FUNCTION uuid_v7(timestamptz)`);
  }
}

/** RFC 9562, version 7, with the clock's microseconds in rand_a (method 3), so that ids sort within a millisecond. */
const UUID_V7 = `
CREATE FUNCTION uuid_v7(at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT (
    lpad(to_hex(us / 1000), 12, '0') || '7' || lpad(to_hex(us % 1000 * 4096 / 1000), 3, '0') ||
    right(replace(gen_random_uuid()::text, '-', ''), 16)
  )::uuid
  FROM (SELECT (extract(epoch FROM at) * 1000000)::bigint AS us) AS clock
$$`;

const JOB_SHARD = `
CREATE FUNCTION job_shard(id uuid, shards int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ('x' || right(id::text, 4))::bit(16)::int % shards
$$`;

/** Written at submit and once an attempt. \`status\` holds terminal states only: live ones follow from \`dispatch\`. */
const JOBS = `
CREATE TABLE jobs (
  id uuid NOT NULL,
  tenant text NOT NULL DEFAULT 'default',
  type text NOT NULL,
  queue text NOT NULL,
  data json NOT NULL,
  priority smallint NOT NULL,
  max_attempts smallint NOT NULL,
  backoff json NOT NULL,
  timeout_ms integer NOT NULL,
  run_at timestamptz NOT NULL,
  run smallint NOT NULL DEFAULT 1,
  attempts_made smallint NOT NULL DEFAULT 0,
  delivery integer NOT NULL DEFAULT 1,
  status text,
  progress json,
  result json,
  error json,
  enqueued_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  CONSTRAINT jobs_pkey PRIMARY KEY (id),
  CONSTRAINT jobs_status_is_terminal CHECK (status IN ('completed', 'failed', 'cancelled'))
) PARTITION BY RANGE (id);
CREATE INDEX jobs_tenant_id ON jobs (tenant, id);
CREATE INDEX jobs_tenant_type_id ON jobs (tenant, type, id)`;

const HISTORY = `
CREATE TABLE job_attempts (
  job_id uuid NOT NULL,
  tenant text NOT NULL,
  run smallint NOT NULL,
  number smallint NOT NULL,
  token uuid NOT NULL,
  worker text NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  outcome text NOT NULL,
  error json,
  CONSTRAINT job_attempts_pkey PRIMARY KEY (job_id, run, number),
  CONSTRAINT job_attempts_outcome CHECK (outcome IN ('completed', 'failed'))
) PARTITION BY RANGE (job_id);
CREATE SEQUENCE job_event_seq;
CREATE TABLE job_events (
  job_id uuid NOT NULL,
  seq bigint NOT NULL DEFAULT nextval('job_event_seq'),
  tenant text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind text NOT NULL,
  detail json,
  CONSTRAINT job_events_pkey PRIMARY KEY (job_id, seq)
) PARTITION BY RANGE (job_id);
ALTER SEQUENCE job_event_seq OWNED BY job_events.seq;
CREATE SEQUENCE job_log_seq;
CREATE TABLE job_logs (
  job_id uuid NOT NULL,
  tenant text NOT NULL,
  seq bigint NOT NULL DEFAULT nextval('job_log_seq'),
  run smallint NOT NULL,
  attempt smallint NOT NULL,
  at timestamptz NOT NULL,
  line text NOT NULL,
  CONSTRAINT job_logs_pkey PRIMARY KEY (job_id, seq)
) PARTITION BY RANGE (job_id);
ALTER SEQUENCE job_log_seq OWNED BY job_logs.seq`;

/**
 * One row a job that is not terminal. \`active\` = a row with a token; a token implies \`pushed_at\`, so the relay's
 * index needs no second predicate. Small and busy: vacuumed by count, not by share.
 */
const DISPATCH = `
CREATE TABLE dispatch (
  job_id uuid NOT NULL,
  tenant text NOT NULL,
  type text NOT NULL,
  queue text NOT NULL,
  shard smallint NOT NULL,
  priority smallint NOT NULL,
  run_at timestamptz NOT NULL,
  delivery integer NOT NULL DEFAULT 1,
  pushed_at timestamptz,
  token uuid,
  worker_id uuid,
  claimed_at timestamptz,
  alone boolean NOT NULL DEFAULT false,
  crashes smallint NOT NULL DEFAULT 0,
  solo_crashes smallint NOT NULL DEFAULT 0,
  progress json,
  CONSTRAINT dispatch_pkey PRIMARY KEY (job_id),
  CONSTRAINT dispatch_claim_is_whole CHECK (
    (token IS NULL) = (worker_id IS NULL) AND (token IS NULL) = (claimed_at IS NULL) AND
    (token IS NULL OR pushed_at IS NOT NULL)
  )
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.1);
CREATE INDEX dispatch_to_push ON dispatch (queue, shard, priority, run_at, job_id) WHERE pushed_at IS NULL;
CREATE INDEX dispatch_active ON dispatch (worker_id) WHERE worker_id IS NOT NULL`;

const DEAD_LETTERS = `
CREATE TABLE dead_letters (
  job_id uuid NOT NULL,
  tenant text NOT NULL,
  status text NOT NULL,
  type text NOT NULL,
  queue text NOT NULL,
  CONSTRAINT dead_letters_pkey PRIMARY KEY (job_id),
  CONSTRAINT dead_letters_status CHECK (status IN ('failed', 'cancelled'))
);
CREATE INDEX dead_letters_tenant_status ON dead_letters (tenant, status, job_id)`;

const PROCESSES = `
CREATE TABLE workers (
  id uuid NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  queues jsonb NOT NULL,
  concurrency integer NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  heartbeat_at timestamptz NOT NULL DEFAULT now(),
  loop_lag_ms integer NOT NULL DEFAULT 0,
  CONSTRAINT workers_pkey PRIMARY KEY (id)
);
CREATE TABLE queue_pauses (
  queue text NOT NULL,
  paused_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT queue_pauses_pkey PRIMARY KEY (queue)
);
CREATE TABLE relay_leases (
  shard smallint NOT NULL,
  holder uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT relay_leases_pkey PRIMARY KEY (shard)
);
CREATE TABLE topology (
  singleton boolean NOT NULL DEFAULT true,
  backend text NOT NULL,
  prefix text NOT NULL,
  shards smallint NOT NULL,
  CONSTRAINT topology_pkey PRIMARY KEY (singleton),
  CONSTRAINT topology_is_one_row CHECK (singleton)
)`;

/**
 * Daily partitions (UTC) from \`behind\` days ago to \`ahead\` days hence, for all partitioned tables. Each is made
 * beside its parent and then attached, which does not block readers or writers. Idempotent; one caller at a time.
 */
const PARTITIONS = `
CREATE FUNCTION ensure_partitions(behind int, ahead int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  parent text; day date; part text; made int := 0;
  today date := (now() AT TIME ZONE 'UTC')::date;
  floor_of CONSTANT text := '00000000000000000000';
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('job-queue-platform'), hashtext('partitions'));
  FOREACH parent IN ARRAY ARRAY['jobs', 'job_attempts', 'job_events', 'job_logs'] LOOP
    FOR day IN SELECT generate_series(today - behind, today + ahead, interval '1 day')::date LOOP
      part := parent || '_' || to_char(day, 'YYYYMMDD');
      CONTINUE WHEN to_regclass(part) IS NOT NULL;
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = %s)',
        part, parent, CASE parent WHEN 'jobs' THEN 85 ELSE 100 END);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part,
        (lpad(to_hex((extract(epoch FROM day::timestamp) * 1000)::bigint), 12, '0') || floor_of)::uuid,
        (lpad(to_hex((extract(epoch FROM day::timestamp + interval '1 day') * 1000)::bigint), 12, '0') || floor_of)::uuid);
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END $$`;
