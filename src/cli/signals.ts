/**
 * @module
 * Ends what runs until somebody stops it.
 */

function leave(): never {
  process.exit(1)
}

/** Settles at the first SIGINT or SIGTERM; a second one ends the process at once. */
export async function waitForSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.off('SIGINT', stop)
      process.off('SIGTERM', stop)
      process.once('SIGINT', leave)
      process.once('SIGTERM', leave)
      resolve()
    }
    process.once('SIGINT', stop)
    process.once('SIGTERM', stop)
  })
}

/** Calls `listener` at each SIGHUP, until the process ends. From here on the signal does not end it. */
export function onHangUp(listener: () => void): void {
  process.on('SIGHUP', listener)
}
