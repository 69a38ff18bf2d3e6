//! The terminal, taken over and given back: at the end, on a panic, around a suspension.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::sync::Once;

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::model::Model;
use crate::view::view;

/// A page is one write: a slow line shows no half of it.
const PAGE: usize = 64 * 1024;

/// The terminal in full-screen mode. Gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Stage {
    /// Takes the terminal over.
    pub(crate) fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                report(panic);
            }));
        });
        // The theme decides about colours. Left to NO_COLOR, crossterm would send an empty
        // colour, which is a full reset and takes the reverse video with it.
        crossterm::style::force_color_output(true);
        take_over()?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(PAGE, io::stdout()));
        match Terminal::new(backend) {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Its size in columns and rows.
    pub(crate) fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Draws the page; only what changed is sent.
    pub(crate) fn draw(&mut self, model: &Model) -> io::Result<()> {
        self.terminal.draw(|frame| view(model, frame)).map(|_| ())
    }

    /// Forgets what is on the screen, so that the next page is sent whole.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        take_over()?;
        // Not Terminal::clear: it asks where the cursor is, and the thread that reads keys eats
        // the answer.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Gives the terminal back, stops this process, and takes the terminal over when it goes on.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        restore();
        signal_hook::low_level::raise(signal_hook::consts::SIGTSTP)?;
        self.clear()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        restore();
    }
}

fn take_over() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Gives the terminal back as well as it can be: the line may be gone.
fn restore() {
    let _line_gone = disable_raw_mode();
    let _line_gone = execute!(
        io::stdout(),
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    );
    let _line_gone = io::stdout().flush();
}
