/**
 * @module
 * `POST /redeem` (contracts, "Redemption by others"): a PEP in another process or language has received a request with an
 * action credential, and asks the issuer to redeem it. One unit burns the credential and records that it was redeemed.
 */
import { digestOf } from '../../core/bind.ts'
import type { ActionClaims, RedemptionClaims } from '../../core/credential.ts'
import { readObject, readText, type Fields } from '../../core/grant-fields.ts'
import { toHttpAction, type DigestedBody } from '../../core/http-action.ts'
import { keyRecord, fromRecord } from '../../core/records.ts'
import { verifyActionProof, type VerifyActionProof } from '../../crypto/action-proof.ts'
import { createCredentialAuthority, openActionCredential } from '../../crypto/credential.ts'
import { importPublicKey } from '../../crypto/keys.ts'
import { signRedemption } from '../../crypto/redemption-answer.ts'
import { parseSignatureInput } from '../../crypto/signature-input.ts'
import { InputError, parseJson, type ActionBody, type EnrolledKey, type Reason } from '../../index.ts'
import type { ReceivedRequest } from '../../pdp/authenticate.ts'
import { redeemIssued } from '../../pdp/issued.ts'
import { newId, toOutcomeUnit } from '../../pdp/log-entries.ts'
import type { CredentialAuthority } from '../../ports/credentials.ts'
import { toError } from './answers.ts'
import { authenticatePep, isPepOf, type IssuedOptions } from './issued.ts'

/** What a PEP says of the request that it received. */
interface Asked {
  readonly credential: string
  readonly digest: string
  readonly action: ActionBody
  readonly proof: Omit<VerifyActionProof, 'jkt' | 'resolveKey' | 'now' | 'origin'> & { readonly origin?: string }
}

/**
 * Answers `application/jwt`: a signed `{active, rev}` (`RedemptionClaims`). `active` is true once for each credential, after
 * the disk has it. Everything that is refused is signed too; what cannot be read, or is asked by somebody else than a PEP, is
 * an error. Takes the word of the PEP for what it received; what that PEP does then is not seen here.
 */
export function createRedeem(options: IssuedOptions): (received: ReceivedRequest) => Promise<Response> {
  return async (received) => {
    const by = await authenticatePep(options, received)
    if (by instanceof Response) return by
    try {
      const asked = parseAsked(received)
      const answered = await answer(options, asked, by)
      const { issuer, keys, clock, revocations } = options
      const claims: Omit<RedemptionClaims, 'ath'> = {
        iss: issuer,
        aud: by.jkt,
        iat: Math.floor(clock.now() / 1000),
        nonce: nonceOf(received),
        rev: revocations.rev(),
        ...answered,
      }
      const signed = signRedemption(keys.current(), claims, asked.credential)
      return new Response(signed, { headers: { 'content-type': 'application/jwt', 'cache-control': 'no-store' } })
    } catch (fault) {
      if (fault instanceof InputError) return toError('invalid_request', fault.message, { reason: fault.reason })
      throw fault
    }
  }
}

type Answered = Pick<RedemptionClaims, 'active' | 'reason' | 'entry'>

async function answer(options: IssuedOptions, asked: Asked, by: EnrolledKey): Promise<Answered> {
  const claims = openActionCredential(options.keys, options.issuer, asked.credential)
  // Of what is not theirs they hear nothing.
  if (claims === undefined || !isPepOf(options, by, claims)) return { active: false }
  const [{ salt }] = claims.authorization_details
  if (digestOf(asked.action, Buffer.from(salt, 'base64url')) !== asked.digest)
    throw new InputError('`digest` is not that of the action in `proof` with the salt of the credential')
  const reason = await refuseProof(options, asked, claims)
  if (reason !== undefined) return { active: false, reason }
  const redemption = await authorityFor(options, by).redeem({
    credential: { form: 'jwt', compact: asked.credential },
    aud: claims.aud,
    body: asked.digest,
    jkt: claims.cnf.jkt,
  })
  if (!redemption.ok) return { active: false, reason: redemption.reason }
  return { active: true, entry: claims.tctx.evaluation_id }
}

/** The agent's key is the enrolled one that the credential names; a signature does not carry it. */
async function refuseProof(options: IssuedOptions, asked: Asked, claims: ActionClaims): Promise<Reason | undefined> {
  const { jkt } = claims.cnf
  const [record] = await options.store.get([keyRecord(jkt)])
  const enrolled = fromRecord<EnrolledKey>(record)
  const key = enrolled === undefined ? undefined : importPublicKey({ ...enrolled.jwk })
  const origin = asked.proof.origin ?? new URL(claims.aud).origin
  const resolveKey: VerifyActionProof['resolveKey'] = (id) => (id === key?.jkt ? key : undefined)
  const verified = verifyActionProof({ ...asked.proof, origin, jkt, resolveKey, now: options.clock.now() })
  return verified.ok ? undefined : verified.reason
}

function authorityFor(
  { issuer, keys, revocations, store, clock }: IssuedOptions,
  by: EnrolledKey,
): CredentialAuthority {
  return createCredentialAuthority({
    issuer,
    key: keys,
    feed: revocations,
    clock,
    burn: async (_jti, _expires, claims) => {
      const { evaluation_id: of } = claims.tctx
      const entry = { id: newId(), time: clock.now(), of, outcome: 'redeemed', by: by.jkt } as const
      return redeemIssued(store, claims, toOutcomeUnit(entry, {}, claims.sub))
    },
  })
}

/** Of the signature that was verified over this request. */
function nonceOf({ header }: ReceivedRequest): string {
  return parseSignatureInput([header('signature-input') ?? []].flat()[0] ?? '')?.nonce ?? ''
}

/** Throws `InputError` for everything that is not exactly of the shape. */
function parseAsked({ body }: ReceivedRequest): Asked {
  const fields = readObject({ path: 'body', value: parseJson(body) }, ['credential', 'digest', 'proof'])
  const credential = readText(fields.need('credential'))
  const proof = readObject(fields.need('proof'), PROOF)
  const method = readText(proof.need('method'))
  const target = readText(proof.need('target'))
  const contentType = textOf(proof, 'contentType')
  const contentDigest = textOf(proof, 'contentDigest')
  const content: Uint8Array | DigestedBody = contentDigest === undefined ? new Uint8Array() : { contentDigest }
  const action = toHttpAction({
    method,
    target,
    ...(contentType === undefined ? {} : { contentType }),
    body: content,
  })
  const headers: Readonly<Record<string, string | undefined>> = {
    authorization: `DPoP ${credential}`,
    'content-type': contentType,
    'content-digest': contentDigest,
    dpop: textOf(proof, 'dpop'),
    'signature-input': textOf(proof, 'signatureInput'),
    signature: textOf(proof, 'signature'),
  }
  const origin = textOf(proof, 'origin')
  return {
    credential,
    digest: readText(fields.need('digest')),
    action,
    proof: {
      method,
      target,
      headers: (name) => headers[name],
      body: content,
      credential,
      ...(origin === undefined ? {} : { origin }),
    },
  }
}

const PROOF = ['method', 'target', 'contentType', 'contentDigest', 'origin', 'dpop', 'signatureInput', 'signature']

function textOf(fields: Fields, name: string): string | undefined {
  return fields.has(name) ? readText(fields.need(name)) : undefined
}
