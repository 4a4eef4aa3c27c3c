/**
 * @module
 * What keeps an installation answering when somebody asks for too much or the disk fills: quotas, suspensions, and the space
 * that is kept for revocations, answers and restores (design §8).
 */
import { dirname } from 'node:path'

import { isBroken } from '../core/break-glass.ts'
import type { JsonObject } from '../core/json.ts'
import { createAdmission, type Admission } from '../pdp/admission.ts'
import { toControlUnit } from '../pdp/log-entries.ts'
import type { Suspensions } from '../pdp/suspensions.ts'
import type { Telemetry } from '../pdp/telemetry.ts'
import type { Clock } from '../ports/clock.ts'
import type { Store } from '../ports/store.ts'
import type { Services } from '../server/control.ts'
import { createFreeSpace, type FreeSpace } from './free-space.ts'
import type { Config } from './load.ts'

export interface Availability {
  readonly admission: Admission
  readonly space: FreeSpace
  status(): Promise<AvailabilityStatus>
}

export interface AvailabilityStatus {
  readonly suspended: readonly { readonly name: string; readonly at: number }[]
  readonly breakGlass: readonly { readonly id: string; readonly grant: string; readonly expires: number }[]
  readonly space: { readonly low: boolean; readonly freeBytes: number | null }
}

export interface AvailabilityOptions {
  readonly config: Config
  readonly store: Store
  readonly clock: Clock
  readonly services: Services
  readonly suspensions: Suspensions
  readonly telemetry: Telemetry
  readonly report: (where: string, fault: unknown) => void
}

export async function createAvailability(options: AvailabilityOptions): Promise<Availability> {
  const { config, store, clock, services, suspensions, telemetry, report } = options
  const space = await lookAtSpace(config)
  const admission = createAdmission({
    limits: config.limits,
    isSuspended: (jkt) => suspensions.isSuspended(jkt),
    isSpaceLow: () => space.isLow(),
    summarise: async (detail) => append(store, clock, detail),
    count: (reason) => telemetry.count('unbearer_turned_away_total', { reason }),
    report,
  })
  telemetry.gauge('unbearer_suspended_agents', () => suspensions.list().length)
  telemetry.gauge('unbearer_break_glass_open', async () => {
    const all = await services.breakGlasses.list()
    return all.filter((each) => isBroken(each, clock.now())).length
  })
  telemetry.gauge('unbearer_free_bytes', () => space.bytes() ?? Number.NaN)
  return {
    admission,
    space,
    status: async () => toAvailabilityStatus(services, space, clock.now()),
  }
}

/** What an operator should know: agents that are suspended, glasses that are broken, and the space that is left. */
export async function toAvailabilityStatus(
  { restores, breakGlasses }: Pick<Services, 'restores' | 'breakGlasses'>,
  space: FreeSpace,
  now: number,
): Promise<AvailabilityStatus> {
  const broken = (await breakGlasses.list()).filter((each) => isBroken(each, now))
  return {
    suspended: (await restores.list()).map(({ name, at }) => ({ name, at })),
    breakGlass: broken.map(({ id, opened }) => ({ id, grant: opened?.grant ?? '', expires: opened?.expires ?? now })),
    space: { low: space.isLow(), freeBytes: space.bytes() ?? null },
  }
}

/** The room that is left where the store lies. */
export async function lookAtSpace({ store, limits }: Config): Promise<FreeSpace> {
  return createFreeSpace(store.kind === 'sqlite' ? dirname(store.path) : undefined, limits.reserveBytes)
}

async function append(store: Store, clock: Clock, detail: JsonObject): Promise<void> {
  const said = { act: 'refusals.summary', by: 'system', subject: 'system', detail }
  const result = await store.commit(toControlUnit({ ...said, now: clock.now() }))
  if (result.status === 'applied') await result.durable
}
