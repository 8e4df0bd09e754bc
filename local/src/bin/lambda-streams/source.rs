//! The source that the flags choose.

use lambda_streams_local::{
    DynamoDbStreams, MemorySource, Page, Position, RecordFiles, Shard, ShardIterator, Source, SourceError,
};

use crate::args::SourceArgs;
use crate::aws::Aws;
use crate::failure::Failure;
use crate::input;

pub(crate) enum AnySource {
    Stream(DynamoDbStreams),
    Files(MemorySource),
}

impl AnySource {
    /// Connects to the stream, or reads the files.
    pub(crate) async fn connect(args: &SourceArgs, deployed_arn: Option<&str>, aws: &Aws<'_>) -> Result<Self, Failure> {
        if !args.events.is_empty() || !args.items.is_empty() {
            return files(args).map(Self::Files);
        }
        let connected = match (&args.table, args.stream.as_deref().or(deployed_arn)) {
            (Some(table), _) => {
                DynamoDbStreams::connect_to_table(&aws.dynamodb().await?, aws.streams().await?, table).await
            }
            (None, Some(arn)) => DynamoDbStreams::connect(aws.streams().await?, arn).await,
            (None, None) => {
                let flags = "--table, --stream, --events, --items or --from-deployed";
                return Err(Failure::not_begun(format!("say where the records come from: use {flags}")));
            }
        };
        connected.map(Self::Stream).map_err(Failure::not_begun)
    }

    /// Whether the records are old, so their age says nothing.
    pub(crate) fn is_files(&self) -> bool {
        matches!(self, Self::Files(_))
    }

    /// How often records were gone before they could be read.
    pub(crate) fn gaps(&self) -> u64 {
        match self {
            Self::Stream(stream) => stream.gaps(),
            Self::Files(_) => 0,
        }
    }

    pub(crate) fn view_type(&self) -> Option<&str> {
        match self {
            Self::Stream(stream) => stream.view_type(),
            Self::Files(_) => None,
        }
    }
}

fn files(args: &SourceArgs) -> Result<MemorySource, Failure> {
    let mut files = RecordFiles::new();
    for path in &args.events {
        files.add_events(&input::name(path), &input::read(path)?).map_err(Failure::not_begun)?;
    }
    let keys: Vec<&str> = args.key.iter().map(String::as_str).collect();
    for path in &args.items {
        files.add_items(&input::name(path), &input::read(path)?, &keys).map_err(Failure::not_begun)?;
    }
    files.into_source().map_err(Failure::not_begun)
}

impl Source for AnySource {
    fn stream_arn(&self) -> String {
        match self {
            Self::Stream(source) => source.stream_arn(),
            Self::Files(source) => source.stream_arn(),
        }
    }

    async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
        match self {
            Self::Stream(source) => source.shards().await,
            Self::Files(source) => source.shards().await,
        }
    }

    async fn open(&self, shard: &str, from: &Position) -> Result<ShardIterator, SourceError> {
        match self {
            Self::Stream(source) => source.open(shard, from).await,
            Self::Files(source) => source.open(shard, from).await,
        }
    }

    async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
        match self {
            Self::Stream(source) => source.read(iterator).await,
            Self::Files(source) => source.read(iterator).await,
        }
    }
}
