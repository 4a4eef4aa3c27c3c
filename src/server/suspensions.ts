/**
 * @module
 * A person gives a suspended agent its way again.
 */
import type { EnrolledKey } from '../core/evidence.ts'
import { InputError } from '../core/errors.ts'
import { suspensionRecord } from '../core/records.ts'
import type { Suspension, Suspensions } from '../pdp/suspensions.ts'
import { perform, type ServiceOptions } from './acts.ts'
import type { Keys } from './keys.ts'

export interface Restores {
  /** Throws `InputError` when there is no such agent, or it is not suspended. Does not say why it was. */
  restore(nameOrJkt: string, by: EnrolledKey): Promise<EnrolledKey>
  /** Who is suspended, by the names under which they are enrolled. */
  list(): Promise<readonly (Suspension & { readonly name: string })[]>
}

export interface RestoresOptions extends ServiceOptions {
  readonly keys: Keys
  readonly suspensions: Suspensions
}

export function createRestores(options: RestoresOptions): Restores {
  const { keys, suspensions } = options
  return {
    async list() {
      const agents = await keys.list('agent')
      return suspensions.list().map((each) => {
        const name = agents.find(({ jkt }) => jkt === each.actor)?.name ?? each.actor
        return { ...each, name }
      })
    },
    async restore(given, by) {
      const agent = (await keys.findByName('agent', given)) ?? (await keys.find(given))
      if (agent?.role !== 'agent') throw new InputError(`there is no agent \`${given}\``)
      const key = suspensionRecord(agent.jkt)
      await perform(options, async (read) => {
        const found = await read<Suspension>(key)
        if (found === undefined && !suspensions.isSuspended(agent.jkt))
          throw new InputError(`the agent \`${agent.name}\` is not suspended`)
        const detail = { actor: agent.jkt, name: agent.name, since: found?.at ?? null }
        return { result: agent, writes: [{ key }], act: 'agent.restore', by: by.jkt, subject: 'system', detail }
      })
      suspensions.lift(agent.jkt)
      return agent
    },
  }
}
