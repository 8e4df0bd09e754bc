import * as fs from 'node:fs';
import * as path from 'node:path';
import { Architecture, Code, Function, FunctionOptions, Runtime } from 'aws-cdk-lib/aws-lambda';
import { BundlingOptions, RustFunction } from 'cargo-lambda-cdk';
import { Construct } from 'constructs';
import { check } from './checks';

/** How to build a function from a Cargo package. */
export interface CargoCodeOptions {
  /** The path of the package's `Cargo.toml`, or of its directory. */
  readonly manifestPath: string;

  /**
   * The binary to build.
   *
   * @default - the package's only binary
   */
  readonly binaryName?: string;

  /**
   * Further options of `cargo lambda build`: profile, flags, environment, Docker. The architecture is the function's.
   *
   * @default - `cargo lambda build --release`, on this machine if cargo-lambda is installed, otherwise in Docker
   */
  readonly bundling?: BundlingOptions;
}

/** Where the function's code comes from: a Cargo package, or anything that holds a `bootstrap`. */
export abstract class ProcessorCode {
  /** Builds a Cargo package with `cargo lambda build`, for the architecture of the function. */
  static fromCargo(options: CargoCodeOptions): ProcessorCode {
    return new CargoCode(options);
  }

  /**
   * Takes a directory or zip file that is already built.
   *
   * A directory must have an executable `bootstrap` for the function's architecture, linked against glibc 2.34 or older.
   */
  static fromAsset(assetPath: string): ProcessorCode {
    return new AssetCode(assetPath);
  }

  /** Takes any code asset of the CDK whose entry point is `bootstrap`. */
  static fromCode(code: Code): ProcessorCode {
    return new PlainCode(code);
  }

  /** Creates the Lambda function of this code. */
  abstract createFunction(scope: Construct, id: string, options: FunctionOptions): Function;
}

class PlainCode extends ProcessorCode {
  constructor(private readonly code: Code) {
    super();
  }

  createFunction(scope: Construct, id: string, options: FunctionOptions): Function {
    return new Function(scope, id, {
      ...options,
      code: this.code,
      runtime: Runtime.PROVIDED_AL2023,
      handler: 'bootstrap',
    });
  }
}

class AssetCode extends ProcessorCode {
  constructor(private readonly assetPath: string) {
    super();
  }

  createFunction(scope: Construct, id: string, options: FunctionOptions): Function {
    const entry = this.assetPath.endsWith('.zip') ? this.assetPath : path.join(this.assetPath, 'bootstrap');
    check(
      scope,
      fs.existsSync(entry),
      `no ${entry}; build the function first (cargo lambda build --release), or let ProcessorCode.fromCargo build it`,
    );
    return new PlainCode(Code.fromAsset(this.assetPath)).createFunction(scope, id, options);
  }
}

class CargoCode extends ProcessorCode {
  constructor(private readonly options: CargoCodeOptions) {
    super();
  }

  createFunction(scope: Construct, id: string, options: FunctionOptions): Function {
    const { manifestPath, binaryName, bundling } = this.options;
    const manifest = manifestPath.endsWith('.toml') ? manifestPath : path.join(manifestPath, 'Cargo.toml');
    check(
      scope,
      bundling?.architecture === undefined,
      'bundling names an architecture; set the architecture of the function instead (functionOptions.architecture)',
    );
    check(scope, fs.existsSync(manifest), `no ${manifest}; manifestPath names the function's Cargo.toml`);
    return new RustFunction(scope, id, {
      ...options,
      manifestPath: manifest,
      binaryName,
      bundling: { ...bundling, architecture: options.architecture ?? Architecture.ARM_64 },
    });
  }
}
