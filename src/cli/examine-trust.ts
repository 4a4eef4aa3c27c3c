/**
 * @module
 * Who may open grants without an operator, and whether the keys of issuers outside can be read from here.
 */
import type { Config } from '../config/load.ts'
import type { IssuerTrust } from '../config/trust.ts'
import { UnbearerError } from '../core/errors.ts'
import type { GrantCeiling } from '../core/grant-ceiling.ts'
import { isOfAlgorithm } from '../crypto/outside-keys.ts'
import { fetchJson } from '../server/trust/fetch-json.ts'
import { fetchOutsideKeys } from '../server/trust/outside-jwks.ts'
import type { Symptom } from './diagnosis.ts'

/** Asks each issuer for its keys, as the server would. Does not log anybody in. */
export async function examineTrust({ trust }: Config): Promise<readonly Symptom[]> {
  const { issuers, signed } = trust
  const found = await Promise.all(issuers.map(async (issuer) => [toOpen(issuer), await examineIssuer(issuer)]))
  return [...(signed === undefined ? [] : [toSigned(signed)]), ...found.flat()]
}

const toTools = ({ grant }: GrantCeiling): string =>
  grant.operations.map(({ upstream, tool, effects }) => `${upstream}/${tool} (${effects.join(', ')})`).join(', ')

function toSigned(ceiling: GrantCeiling): Symptom {
  return { level: 'note', what: `open: principals with an enrolled key may sign grants for ${toTools(ceiling)}` }
}

function toOpen({ issuer, ceiling }: IssuerTrust): Symptom {
  return { level: 'note', what: `open: principals of ${issuer} may open grants for ${toTools(ceiling)}` }
}

async function examineIssuer({ issuer, jwks, algorithms }: IssuerTrust): Promise<Symptom> {
  try {
    const keys = await fetchOutsideKeys({ issuer, fetchDocument: fetchJson, ...(jwks === undefined ? {} : { jwks }) })
    const usable = keys.filter((key) => algorithms.some((alg) => isOfAlgorithm(key, alg)))
    if (usable.length > 0) return { level: 'good', what: `issuer ${issuer}: ${usable.length} of its keys can be used` }
    return { level: 'bad', what: `issuer ${issuer} has no key for ${algorithms.join(', ')}, see \`algorithms\`` }
  } catch (fault) {
    const why = fault instanceof UnbearerError ? fault.message : 'its keys cannot be read'
    return { level: 'bad', what: `issuer ${issuer}: ${why}` }
  }
}
