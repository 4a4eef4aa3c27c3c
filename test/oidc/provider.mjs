/**
 * `oidc-provider` as an identity provider of somebody else, on a loopback port, with its own sample login. Prints its issuer when
 * it listens; ends with stdin.
 */
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'

import Provider from 'oidc-provider'

const { audience, redirect } = JSON.parse(process.argv[2])

function makeKey(kid) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }
}

const makeProvider = (issuer, keys) =>
  new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ['only in this test'] },
    clients: [
      {
        client_id: 'desk-app',
        client_secret: 'a secret of this test alone',
        redirect_uris: [redirect],
        grant_types: ['authorization_code', 'client_credentials'],
        response_types: ['code'],
      },
    ],
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ttl: { AccessToken: 120, ClientCredentials: 120, IdToken: 120, Grant: 120, Session: 120, Interaction: 120 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'delegate', audience, accessTokenFormat: 'jwt' }),
      },
    },
  })

let handle
const server = createServer((request, response) => handle(request, response))
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  handle = makeProvider(issuer, [makeKey('first')]).callback()
  process.stdout.write(`${JSON.stringify({ issuer })}\n`)
  process.stdin.resume().on('end', () => process.exit(0))
})
