#!/usr/bin/env bash
# Compiles the constructs against the oldest CDK that package.json promises, and runs their tests with it, in .oldest/. Needs the
# npm registry. Exits non-zero where a newer API has crept in.
set -euo pipefail
cd "$(dirname "$0")/.."

# The version that a caret range begins with.
oldest() { node -p "require('./package.json').peerDependencies['$1'].replace('^', '')"; }
pinned() { node -p "require('./package.json').$1['$2']"; }
cdk=$(oldest aws-cdk-lib) constructs=$(oldest constructs) dir=.oldest/infra-cdk

rm -rf .oldest
mkdir -p "$dir"
ln -s ../../src .oldest/src
cp -r lib test scripts cdk.json tsconfig.json tsconfig.build.json vitest.config.mts "$dir"
rm "$dir/test/nag.test.ts" # cdk-nag has a minimum of its own
cat > "$dir/package.json" <<END
{ "private": true }
END
cd "$dir"
npm install --no-audit --no-fund --loglevel=error --ignore-scripts --save-exact "aws-cdk-lib@$cdk" "constructs@$constructs" \
  "cargo-lambda-cdk@$(cd ../..; pinned devDependencies cargo-lambda-cdk)" \
  "typescript@$(cd ../..; pinned devDependencies typescript)" "vitest@$(cd ../..; pinned devDependencies vitest)" \
  "@types/node@$(cd ../..; pinned devDependencies @types/node)" "tsx@$(cd ../..; pinned devDependencies tsx)"
echo "aws-cdk-lib $(node -p "require('aws-cdk-lib/package.json').version"), constructs $(node -p "require('constructs/package.json').version")"
npx --no-install tsc -p tsconfig.build.json --noEmit
npx --no-install vitest run test/user-stacks test/props.test.ts "$@"
