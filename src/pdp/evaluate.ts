/**
 * @module
 * Asks every configured engine. A fault, a throw or silence past the deadline is a verdict that denies (invariant 7).
 */
import type { PolicyVerdict } from '../core/decision.ts'
import type { Evidence } from '../core/evidence.ts'
import { toEngineDocument } from '../core/engine-document.ts'
import type { Finding } from '../core/finding.ts'
import type { AccessRequest } from '../core/request.ts'
import type { Engine } from '../ports/engine.ts'

/** The verdicts of all engines, in order. Never throws; `deadlineMs` is per engine, they are asked side by side. */
export async function evaluateAll(
  engines: readonly Engine[],
  request: AccessRequest,
  evidence: Evidence,
  findings: readonly Finding[],
  deadlineMs: number,
): Promise<readonly PolicyVerdict[]> {
  const document = toEngineDocument(request, evidence, findings)
  return Promise.all(
    engines.map(async (engine) => {
      try {
        return await withDeadline(engine.evaluate(document), deadlineMs, () =>
          toFault(engine, 'unavailable', 'time-out'),
        )
      } catch {
        return toFault(engine, 'error', 'the engine failed')
      }
    }),
  )
}

/** The versions of all engines as one string, for entries and credentials. */
export function toPolicyVersion(engines: readonly Engine[]): string {
  return engines.map((engine) => `${engine.kind}:${engine.version}`).join(' ')
}

function toFault(engine: Engine, outcome: 'error' | 'unavailable', fault: string): PolicyVerdict {
  return { engine: engine.kind, version: engine.version, outcome, policies: [], obligations: [], fault }
}

/** Settles as `work` does, or with `late()` after `milliseconds`. */
export async function withDeadline<T>(work: Promise<T>, milliseconds: number, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<T>((resolve, reject) => {
    timer = setTimeout(() => {
      try {
        resolve(late())
      } catch (cause) {
        reject(cause instanceof Error ? cause : new Error('deadline', { cause }))
      }
    }, milliseconds)
  })
  try {
    return await Promise.race([work, silence])
  } finally {
    clearTimeout(timer)
  }
}
