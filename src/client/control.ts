/**
 * @module
 * The control plane as host applications, PEPs, approvers and operators call it: one method per request, signed.
 */
import { InputError, UnavailableError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { openClientKey, type ClientKey } from './client-key.ts'
import { postSigned, toEndpoint } from './post-signed.ts'
import type { Fetch } from './send.ts'

export interface ControlCall {
  /** The gateway's origin, or any URL of it. */
  readonly url: string | URL
  readonly key: ClientKey
  readonly method: string
  readonly params?: JsonObject
  readonly fetch?: Fetch
}

/**
 * Calls one method of the control plane and returns its result. Throws `RefusedError` or `InputError` with the gateway's
 * reason, `UnavailableError` when it cannot be reached. Does not retry.
 */
export async function callControl(call: ControlCall): Promise<Json> {
  const url = toEndpoint(call.url, '/control')
  const answer = await postSigned({
    key: await openClientKey(call.key),
    url,
    body: { method: call.method, params: call.params ?? {} },
    fetch: toReaching(call.fetch ?? globalThis.fetch, url.origin),
  })
  const { result } = answer
  if (result === undefined) throw new InputError('the answer of the control plane has no `result`')
  return result
}

/** The `fetch` of the platform says no more than that it failed. */
function toReaching(fetch: Fetch, origin: string): Fetch {
  return async (...request) => {
    try {
      return await fetch(...request)
    } catch (cause) {
      throw new UnavailableError(
        `nobody answers at \`${origin}\`; is it served there, and is the certificate trusted`,
        { cause },
      )
    }
  }
}

export interface TaskRequest {
  readonly url: string | URL
  /** A key of role `host` or `operator`. */
  readonly key: ClientKey
  /** What the principal asked for, in their words: the only text that vouches for them. */
  readonly purpose: string
  /** A bare id is of type `user`. */
  readonly principal: string | { readonly type: string; readonly id: string }
  /** Name or thumbprint of the agent that will act. */
  readonly actor: string
  readonly grant?: string
  readonly fetch?: Fetch
}

/**
 * Opens a task for an agent and returns its id. Throws as `callControl` does. Grants nothing: what the agent may do comes from
 * the grant and from policy.
 */
export async function openTask(task: TaskRequest): Promise<{ readonly txn: string }> {
  const { url, key, purpose, actor, grant } = task
  const principal =
    typeof task.principal === 'string' ? task.principal : { type: task.principal.type, id: task.principal.id }
  const result = await callControl({
    url,
    key,
    method: 'task.open',
    params: { purpose, principal, actor, ...(grant === undefined ? {} : { grant }) },
    ...(task.fetch === undefined ? {} : { fetch: task.fetch }),
  })
  const txn = isJsonObject(result) ? result['txn'] : undefined
  if (typeof txn !== 'string') throw new InputError('the answer to `task.open` has no `txn`')
  return { txn }
}
