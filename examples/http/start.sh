#!/bin/sh
# What you do once, with the commands that you would type, and then an API and an agent. `npm start` puts `unbearer` on the path.
set -e
rm -rf gate
{
  unbearer init --dir gate --issuer https://unbearer.example
  # It blocks from the start, takes any free port, and waits for a machine that is busy with other things.
  cd gate
  sed -i.bak -e 's/^mode: observe/mode: enforce/' -e 's/127.0.0.1:8700/127.0.0.1:0/' -e 's/deadline: 50ms/deadline: 2s/' \
    unbearer.yaml
  cat ../audience.yaml >> unbearer.yaml
  unbearer peps enrol orders-api --new keys/orders-api.jwk
  unbearer agents enrol support-agent --new keys/agent.jwk
  unbearer grant create -f ../grant.yaml
  unbearer tools accept ../orders.manifest.yaml
  cd ..
} >/dev/null
node main.ts "$@"
