"""Deploys the demo of infra-cdk into a local AWS emulator, and looks at what it does there."""
