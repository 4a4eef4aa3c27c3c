/**
 * @module
 * Grants: what a principal delegates to one actor's key. Issued by an operator here, logged. A child is contained in its
 * parent or is refused (invariant 8).
 */
import { isGrantContained } from '../core/attenuation.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { InputError } from '../core/errors.ts'
import type { Grant } from '../core/grant.ts'
import { asJson, type Json } from '../core/json.ts'
import { parseGrant } from '../core/parse-grant.ts'
import { GRANT_PREFIX, grantOfActorRecord, grantRecord } from '../core/records.ts'
import type { Entity } from '../core/request.ts'
import type { Write } from '../ports/store.ts'
import { listAll, perform, readOne, type ServiceOptions } from './acts.ts'
import type { Keys } from './keys.ts'

export interface GrantsOptions extends ServiceOptions {
  readonly keys: Keys
}

export interface Grants {
  /**
   * Issues a grant from its human form (`parseGrant`), the actor by name or thumbprint. Throws `InputError`, also for a
   * child that is not provably contained in its parent. Does not promise that the grant is of use: policy decides beside.
   */
  create(value: Json, by: EnrolledKey): Promise<Grant>
  /** Newest last. */
  list(): Promise<readonly Grant[]>
  /** Throws `InputError` when there is none. */
  show(id: string): Promise<Grant>
  /** The grants of this principal to this actor that are valid now; of any principal when none is named. */
  findFor(actor: string, principal?: Pick<Entity, 'type' | 'id'>): Promise<readonly Grant[]>
  /** The grant and its ancestors, leaf first. Throws `InputError` when a link is missing. */
  chain(id: string): Promise<readonly Grant[]>
}

/** As in `pdp/gather.ts`: the most ancestors that a grant may have. */
const MAX_CHAIN = 16

export function createGrants(options: GrantsOptions): Grants {
  const { store, clock, keys } = options
  const grants: Grants = {
    async create(value, by) {
      const agents = await keys.list('agent')
      const resolveActor = (given: string): string | undefined =>
        agents.find(({ jkt, name }) => jkt === given || name === given)?.jkt
      const issuedBy = { role: 'operator', jkt: by.jkt } as const
      const grant = parseGrant(value, { id: options.newId(), now: clock.now(), resolveActor, issuedBy })
      return issue(options, grants, grant)
    },
    list: async () => (await listAll<Grant>(store, GRANT_PREFIX)).toSorted((a, b) => a.notBefore - b.notBefore),
    async show(id) {
      const grant = await readOne<Grant>(store, grantRecord(id))
      if (grant === undefined) throw new InputError(`there is no grant \`${id}\``)
      return grant
    },
    async findFor(actor, principal) {
      const ids = await listAll<string>(store, grantOfActorRecord(actor, ''))
      const found = await Promise.all(ids.map(async (id) => grants.show(id)))
      const now = clock.now()
      return found.filter(
        (grant) => isValid(grant, now) && (principal === undefined || isSame(grant.principal, principal)),
      )
    },
    async chain(id) {
      const chain: Grant[] = []
      for (let next: string | undefined = id; next !== undefined; next = chain.at(-1)?.parent) {
        if (chain.length >= MAX_CHAIN) throw new InputError(`grant \`${id}\` has too many ancestors`)
        chain.push(await grants.show(next))
      }
      return chain
    },
  }
  return grants
}

/** The records of a grant. Decides nothing. */
export function toGrantWrites(grant: Grant): readonly Write[] {
  return [
    { key: grantRecord(grant.id), value: asJson(grant) },
    { key: grantOfActorRecord(grant.actor, grant.id), value: grant.id },
  ]
}

async function issue(options: GrantsOptions, grants: Grants, grant: Grant): Promise<Grant> {
  const ancestors = grant.parent === undefined ? [] : await grants.chain(grant.parent)
  if (ancestors.length >= MAX_CHAIN) throw new InputError('there are too many delegations above this grant')
  return perform(options, async (read) => {
    const parent = grant.parent === undefined ? undefined : await read<Grant>(grantRecord(grant.parent))
    if (grant.parent !== undefined) assertContained(grant, parent, options.clock.now())
    return {
      result: grant,
      writes: toGrantWrites(grant),
      act: 'grant.create',
      by: grant.issuedBy.jkt,
      subject: `${grant.principal.type}/${grant.principal.id}`,
      detail: asJson(grant),
    }
  })
}

function assertContained(child: Grant, parent: Grant | undefined, now: number): void {
  if (parent === undefined) throw new InputError(`there is no grant \`${child.parent ?? ''}\` to delegate from`)
  if (parent.expires <= now)
    throw new InputError(`grant \`${parent.id}\` has expired, nothing can be delegated from it`)
  if (isGrantContained(child, parent)) return
  throw new InputError(
    `the grant is not provably contained in its parent \`${parent.id}\`; narrow its operations, arguments, budgets, times or depth`,
    'scope.operation',
  )
}

function isValid(grant: Grant, now: number): boolean {
  return grant.notBefore <= now && now < grant.expires
}

function isSame(a: Pick<Entity, 'type' | 'id'>, b: Pick<Entity, 'type' | 'id'>): boolean {
  return a.type === b.type && a.id === b.id
}
