//! Pages that do not fit their column are stopped before the decoder sees them.

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

/// Bytes that the shortest entry of a dictionary takes: a 32-bit number, or the length of an empty
/// text.
const MIN_ENTRY_BYTES: usize = 4;

/// Encodings that are read, besides dictionaries. Not the delta encodings of text: their decoder
/// allocates as many lengths as a page claims to have.
const READ: [Encoding; 4] =
    [Encoding::PLAIN, Encoding::RLE, Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT];

/// The pages of a column chunk, as long as they are credible.
pub(super) struct Credible {
    pages: Box<dyn PageReader>,
    /// Values still to come.
    left: usize,
    has_dictionary: bool,
}

impl Credible {
    /// The pages of a chunk of `values` values.
    pub(super) fn new(pages: Box<dyn PageReader>, values: usize) -> Self {
        Self { pages, left: values, has_dictionary: false }
    }

    fn check(&mut self, page: &Page) -> Result<()> {
        let values = page.num_values() as usize;
        if let Page::DictionaryPage { buf, .. } = page {
            self.has_dictionary = true;
            return refuse(values > buf.len() / MIN_ENTRY_BYTES, "a dictionary is cut off");
        }
        refuse(values > self.left, "a page has more values than its column")?;
        self.left -= values;
        let encoding = page.encoding();
        if matches!(encoding, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY) {
            return refuse(!self.has_dictionary, "a page needs a dictionary that is not there");
        }
        refuse(!READ.contains(&encoding), &format!("the encoding {encoding} is not read"))
    }
}

fn refuse(condition: bool, problem: &str) -> Result<()> {
    if condition { Err(ParquetError::General(problem.into())) } else { Ok(()) }
}

impl Iterator for Credible {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Credible {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}
