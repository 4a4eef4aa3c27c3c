/**
 * @module
 * What the shapes of the configuration have in common.
 */
import { z } from 'zod'

/** Where a secret is found, as written. */
export type SecretShape = { readonly env: string } | { readonly file: string }

/** Documents a key: what it is, and what an attacker gains who can choose it. */
export const about = (description: string, gain: string): { description: string; 'x-attacker-gains': string } => ({
  description,
  'x-attacker-gains': gain,
})

export const text: z.ZodString = z.string().min(1)

export const secret: z.ZodType<SecretShape> = z.union(
  [
    z.strictObject({
      env: text.meta(about('The environment variable that holds the value.', 'As for the secret it names.')),
    }),
    z.strictObject({
      file: text.meta(about('The file that holds the value, mode 0600.', 'As for the secret it names.')),
    }),
  ],
  'must be `{ env: NAME }` or `{ file: PATH }`; a secret is never written in the configuration',
)
