const ASKS = 'the server asks the client for something in the middle of a call; requests of a server are refused'

/** Scenarios that end otherwise through the gateway, and why. One that no longer does has to be taken out. */
export const EXPECTED = {
  'tools-call-sampling': ASKS,
  'tools-call-elicitation': ASKS,
  'elicitation-sep1034-defaults': ASKS,
  'elicitation-sep1330-enums': ASKS,
  // Mended in 0.2.0.
  '0.1.16 server-sse-multiple-streams':
    'the scenario names another version of the protocol than it agreed on; the gateway refuses that',
}
