//! Listings that are made once for all their pages: the server by itself goes through everything for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

/// The most that a page has, as S3 has it.
const PAGE: usize = 1000;

/// A server whose listings are quick. What the tests do not ask for is not answered.
#[derive(Debug)]
pub struct QuickLists {
    server: FileSystem,
    /// By the token of the next page: what is still to come.
    rest: Mutex<HashMap<String, Arc<Vec<Object>>>>,
}

impl QuickLists {
    pub fn of(server: FileSystem) -> Self {
        Self { server, rest: Mutex::default() }
    }

    /// Puts a page of `objects`, from `start` on, into an answer.
    fn page(
        &self,
        mut answer: ListObjectsV2Output,
        objects: Arc<Vec<Object>>,
        start: usize,
        size: usize,
    ) -> ListObjectsV2Output {
        let end = objects.len().min(start + size);
        answer.contents = Some(objects[start..end].to_vec());
        answer.key_count = i32::try_from(end - start).ok();
        answer.is_truncated = Some(end < objects.len());
        answer.next_continuation_token = (end < objects.len()).then(|| {
            let token = format!("{end}-{:016x}", fastrand::u64(..));
            self.rest.lock().unwrap().insert(token.clone(), objects);
            token
        });
        answer
    }
}

#[async_trait::async_trait]
impl S3 for QuickLists {
    async fn list_objects_v2(
        &self,
        mut request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let wanted =
            request.input.max_keys.map_or(PAGE, |keys| usize::try_from(keys).unwrap_or(PAGE).min(PAGE));
        let Some(token) = request.input.continuation_token.take() else {
            request.input.max_keys = Some(i32::MAX);
            let mut all = self.server.list_objects_v2(request).await?.output;
            let objects = Arc::new(all.contents.take().unwrap_or_default());
            return Ok(S3Response::new(self.page(all, objects, 0, wanted)));
        };
        let Some(objects) = self.rest.lock().unwrap().remove(&token) else {
            return Err(s3_error!(InvalidArgument));
        };
        let start = token.split('-').next().and_then(|start| start.parse().ok()).unwrap_or(0);
        Ok(S3Response::new(self.page(ListObjectsV2Output::default(), objects, start, wanted)))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.server.head_bucket(request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.server.get_object(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.server.head_object(request).await
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.server.put_object(request).await
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        self.server.copy_object(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.server.delete_object(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.server.create_multipart_upload(request).await
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.server.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.server.complete_multipart_upload(request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.server.abort_multipart_upload(request).await
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.server.upload_part_copy(request).await
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.server.list_parts(request).await
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        self.server.list_objects(request).await
    }

    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        self.server.list_buckets(request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.server.get_bucket_location(request).await
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.server.delete_objects(request).await
    }

    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.server.create_bucket(request).await
    }
}
