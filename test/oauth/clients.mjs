/**
 * Third-party clients of OAuth against our issuer, as their documentation has them. Input and output are JSON on stdin and
 * stdout; run in the folder where they are installed.
 */
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

const input = JSON.parse(await new Response(process.stdin).text())
const { issuer, jwk, credential, detail, resource } = input
const { d: _d, ...open } = jwk
const algorithm = { name: 'Ed25519' }
const keys = {
  privateKey: await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign']),
  publicKey: await crypto.subtle.importKey('jwk', open, algorithm, true, ['verify']),
}
const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'
const parameters = () => ({
  subject_token: credential,
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  resource,
  authorization_details: JSON.stringify([detail]),
})

async function byOauth4webapi() {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const url = new URL(issuer)
  const found = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure })
  const as = await oauth.processDiscoveryResponse(url, found)
  const agent = { client_id: 'agent' }
  const DPoP = oauth.DPoP(agent, keys)
  const ask = async () => {
    const form = new URLSearchParams(parameters())
    const sent = await oauth.genericTokenEndpointRequest(as, agent, oauth.None(), GRANT, form, { DPoP, ...insecure })
    return oauth.processGenericTokenEndpointResponse(as, agent, sent)
  }
  try {
    return await ask()
  } catch (fault) {
    if (!oauth.isDPoPNonceError(fault)) throw fault
    return { ...(await ask()), askedForNonce: true }
  }
}

async function byOpenidClient() {
  const config = await client.discovery(new URL(issuer), 'agent', undefined, client.None(), {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })
  const DPoP = client.getDPoPHandle(config, keys)
  return client.genericGrantRequest(config, GRANT, parameters(), { DPoP })
}

async function told(run) {
  try {
    return await run()
  } catch (fault) {
    return {
      fault: fault.name,
      code: fault.code,
      error: fault.error,
      status: fault.status,
      reason: fault.cause?.reason,
      message: fault.message,
    }
  }
}

process.stdout.write(
  JSON.stringify({ oauth4webapi: await told(byOauth4webapi), openidClient: await told(byOpenidClient) }),
)
