/**
 * A relying party: `openid-client` gets an ID Token by the authorization code flow with PKCE, `oauth4webapi` gets a JWT access
 * token by client credentials. The browser is a `fetch` with a jar. Input and output are JSON on stdin and stdout.
 */
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

const input = JSON.parse(await new Response(process.stdin).text())
const { issuer, redirect, resource, login, nonce } = input
const SECRET = 'a secret of this test alone'

/** Follows redirects and fills in the forms of the sample login, until the provider sends the browser back to the client. */
async function browse(start) {
  const jar = new Map()
  let next = { url: start }
  for (let steps = 0; steps < 20; steps += 1) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(next.url, {
      ...next.init,
      redirect: 'manual',
      headers: { ...next.init?.headers, cookie },
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      jar.set(name, value)
    }
    const location = response.headers.get('location')
    if (location?.startsWith(redirect)) return new URL(location)
    if (location !== null) next = { url: new URL(location, next.url) }
    else next = fill(await response.text(), next.url)
  }
  throw new Error('the login has no end')
}

function fill(page, at) {
  const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1]
  const prompt = /name="prompt" value="([a-z]+)"/.exec(page)?.[1]
  if (action === undefined || prompt === undefined) throw new Error(`no form on the page: ${page.slice(0, 200)}`)
  const body = new URLSearchParams({ prompt, ...(prompt === 'login' ? { login, password: 'any' } : {}) })
  return { url: new URL(action, at), init: { method: 'POST', body } }
}

async function byCode() {
  const config = await client.discovery(new URL(issuer), 'desk-app', SECRET, undefined, {
    execute: [client.allowInsecureRequests],
  })
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirect,
    scope: 'openid',
    state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    max_age: '600',
  })
  const back = await browse(url)
  const tokens = await client.authorizationCodeGrant(config, back, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    maxAge: 600,
  })
  return tokens.id_token
}

async function byClientCredentials() {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const url = new URL(issuer)
  const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
  const app = { client_id: 'desk-app' }
  const parameters = new URLSearchParams({ resource, scope: 'delegate' })
  const sent = await oauth.clientCredentialsGrantRequest(as, app, oauth.ClientSecretBasic(SECRET), parameters, insecure)
  return (await oauth.processClientCredentialsResponse(as, app, sent)).access_token
}

const made = { 'id-token': byCode, 'access-token': byClientCredentials }
process.stdout.write(JSON.stringify({ subjectToken: await made[input.kind]() }))
