/**
 * The guard of the API: the same for every framework.
 */
import { redeemAtIssuer, requireCredential, type CredentialGuard } from 'unbearer/http'

export function createGuard(server: string, port: number): CredentialGuard {
  return requireCredential({
    issuer: 'https://unbearer.example', // `issuer` of the server's configuration
    server, // where it is reached
    audience: 'https://orders.example', // `url` of the audience there
    origin: `http://127.0.0.1:${port}`, // where clients reach this API; left out where that is the audience
    redemption: redeemAtIssuer({ key: './gate/keys/orders-api.jwk' }),
  })
}
