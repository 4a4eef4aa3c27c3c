#!/bin/sh
# What you do once, with the commands that you would type: `sh gate.sh FOLDER ENGINE.yaml`. `npm start` puts `unbearer` on the path.
set -e
unbearer init --dir "$1"
engine=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
here=$(pwd)
cd "$1"
# The engines and upstreams of the shop stand in place of those of `init`. It blocks from the start, takes any free port, and
# waits for a machine that is busy with other things.
sed -e "/^engine:/{r $engine" -e 'd;}' -e "/^upstreams:/{r $here/upstreams.yaml" -e 'd;}' \
  -e 's/^mode: observe/mode: enforce/' -e 's/127.0.0.1:8700/127.0.0.1:0/' -e 's/deadline: 50ms/deadline: 2s/' \
  unbearer.yaml >edited.yaml
mv edited.yaml unbearer.yaml
unbearer tools accept "$here/orders.manifest.yaml"
unbearer agents enrol desk-agent --new keys/agent.jwk
unbearer grant create -f "$here/grant.yaml"
sed 's/alice/carol/' "$here/grant.yaml" >carol.yaml
unbearer grant create -f carol.yaml
