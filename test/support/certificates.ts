/**
 * @module
 * Certificates of an authority of our own, made with the `openssl` of this machine: Node has no way to make one.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** False where there is no `openssl`; tests then skip and say so. */
export const hasOpenssl: boolean = spawnSync('openssl', ['version']).status === 0
if (!hasOpenssl) process.stderr.write('skipped: no `openssl` on this machine, TLS is not tried\n')

const openssl = (dir: string, ...args: readonly string[]): void => {
  execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' })
}

/** Writes `NAME.pem` and `NAME.key`, an authority that signed nothing yet. */
export function makeAuthority(dir: string, name: string): void {
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-addext', 'basicConstraints=critical,CA:TRUE']
  openssl(
    dir,
    'req',
    '-x509',
    '-newkey',
    'ed25519',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    ...subject,
  )
}

/** Writes `NAME.pem` and `NAME.key` (mode 0600) for `localhost`, signed by an authority in the same folder. */
export function makeCertificate(dir: string, name: string, authority: string): void {
  writeFileSync(join(dir, `${name}.ext`), 'subjectAltName=DNS:localhost')
  openssl(dir, 'genpkey', '-algorithm', 'ed25519', '-out', `${name}.key`)
  openssl(dir, 'req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`)
  const signer = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial']
  openssl(
    dir,
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    ...signer,
    '-days',
    '2',
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.pem`,
  )
  execFileSync('chmod', ['600', join(dir, `${name}.key`)])
}

/** Writes `FILE.pem`, a certificate of the key in PKCS #8 PEM that nobody else has signed; returns it. */
export function certify(dir: string, file: string, key: string, subject = 'agent'): string {
  writeFileSync(join(dir, `${file}.key`), key, { mode: 0o600 })
  openssl(
    dir,
    'req',
    '-x509',
    '-new',
    '-key',
    `${file}.key`,
    '-subj',
    `/CN=${subject}`,
    '-days',
    '2',
    '-out',
    `${file}.pem`,
  )
  return readFileSync(join(dir, `${file}.pem`), 'utf8')
}
