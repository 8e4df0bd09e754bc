#!/usr/bin/env bash
# Builds the Python package, and installs it into .venv-python with the CDK of the TypeScript tests.
# Needs Python 3.10 or newer with venv, and its package index.
set -euo pipefail
cd "$(dirname "$0")/.."

export PIP_DISABLE_PIP_VERSION_CHECK=1
venv=.venv-python

pinned() { node -p "require('./package.json').devDependencies['$1']"; }

npm run package:python
[[ -x $venv/bin/pip ]] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet \
  "aws-cdk-lib==$(pinned aws-cdk-lib)" "cargo-lambda-cdk==$(pinned cargo-lambda-cdk)" "constructs==$(pinned constructs)"
"$venv/bin/pip" install --quiet --force-reinstall --no-deps packages/python/*.whl
# What the package asks for is what is there.
"$venv/bin/pip" check
