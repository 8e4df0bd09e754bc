#!/usr/bin/env bash
# Synthesizes every stack of this folder and runs the static gates over the templates: cdk-nag (with the synth), cfn-lint,
# checkov. Needs Node 20, Python 3.11 and the package registries; no AWS account. Exits non-zero at the first finding.
set -euo pipefail
cd "$(dirname "$0")/.."

export CDK_DISABLE_CLI_TELEMETRY=1 CDK_DISABLE_VERSION_CHECK=1 AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true
export PIP_DISABLE_PIP_VERSION_CHECK=1
# The templates depend on no account, and no account is asked for: neither the caller's nor that of the machine.
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_ENDPOINT_URL
export AWS_REGION=eu-central-1 AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
venv=.venv out=.gates

step() { printf '\n== %s\n' "$*"; }

tools() {
  local stamp="$venv/requirements.txt"
  if ! cmp -s gates/requirements.txt "$stamp"; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement gates/requirements.txt
    cp gates/requirements.txt "$stamp"
  fi
}

synth() {
  local name=$1
  shift
  npx --no-install cdk synth --quiet --output "$out/$name" \
    -c allowedCidrs=203.0.113.7/32,2001:db8::/56 -c functionAsset=test/fixtures/bootstrap -c apiAccount=true "$@"
}

rm -rf "$out"
step "tools: cfn-lint and checkov, pinned, in $venv"
tools
step 'cdk synth with cdk-nag: AwsSolutions and Serverless'
synth development
synth production -c stage=prod -c production=true -c alarmEmail=ops@example.com
synth beside-the-demo --app 'npx --no-install tsx examples/beside-the-demo.ts' # words: allow (a file's name)
synth variants --app 'npx --no-install tsx examples/variants.ts'
templates=("$out"/*/*.template.json)
step "cfn-lint $("$venv/bin/cfn-lint" --version)"
"$venv/bin/cfn-lint" --non-zero-exit-code warning -- "${templates[@]}"
echo "no finding in ${#templates[@]} templates"
step "checkov $("$venv/bin/checkov" --version)"
"$venv/bin/checkov" --framework cloudformation --skip-download --quiet --compact --directory "$out"
step 'every accepted finding is still one'
"$venv/bin/python" gates/stale_reasons.py "$venv/bin/checkov" "$venv/bin/cfn-lint" "${templates[@]}"
step "resources: $("$venv/bin/python" gates/count_resources.py "${templates[@]}")"
