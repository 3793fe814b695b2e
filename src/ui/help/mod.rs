//! The help: topics, each a page of paragraphs.

mod topics;

use adw::prelude::*;

use crate::i18n::gettext;
use topics::{Paragraph, Topic, topics};

/// Shows the topics.
pub fn show_help(parent: &impl IsA<gtk::Widget>) {
    let navigation = adw::NavigationView::new();
    let group = adw::PreferencesGroup::new();
    for topic in topics() {
        let row = topic_row(&topic);
        let navigation = navigation.clone();
        row.connect_activated(move |_| navigation.push(&page(&topic.title, &topic_body(&topic))));
        group.add(&row);
    }
    let list = adw::PreferencesPage::new();
    list.add(&group);
    navigation.add(&page(&gettext("Help"), &list));
    adw::Dialog::builder()
        .title(gettext("Help"))
        .content_width(600)
        .content_height(640)
        .child(&navigation)
        .build()
        .present(Some(parent));
}

fn topic_row(topic: &Topic) -> adw::ActionRow {
    let image = |icon: &str| {
        gtk::Image::builder().icon_name(icon).accessible_role(gtk::AccessibleRole::Presentation).build()
    };
    let row = adw::ActionRow::builder()
        .use_markup(false)
        .title(&topic.title)
        .subtitle(&topic.subtitle)
        .activatable(true)
        .build();
    row.add_prefix(&image(topic.icon));
    row.add_suffix(&image("go-next-symbolic"));
    row
}

fn page(title: &str, content: &impl IsA<gtk::Widget>) -> adw::NavigationPage {
    let view = adw::ToolbarView::new();
    view.add_top_bar(&adw::HeaderBar::new());
    view.set_content(Some(content));
    adw::NavigationPage::new(&view, title)
}

fn topic_body(topic: &Topic) -> gtk::ScrolledWindow {
    let column = gtk::Box::builder()
        .orientation(gtk::Orientation::Vertical)
        .spacing(12)
        .margin_top(12)
        .margin_bottom(24)
        .margin_start(18)
        .margin_end(18)
        .build();
    for paragraph in &topic.paragraphs {
        column.append(&label(paragraph));
    }
    let clamp = adw::Clamp::builder().maximum_size(600).child(&column).build();
    gtk::ScrolledWindow::builder().hscrollbar_policy(gtk::PolicyType::Never).child(&clamp).build()
}

fn label(paragraph: &Paragraph) -> gtk::Label {
    let label = gtk::Label::builder().xalign(0.0).wrap(true);
    match paragraph {
        Paragraph::Heading(text) => label
            .label(text)
            .accessible_role(gtk::AccessibleRole::Heading)
            .margin_top(12)
            .css_classes(["heading"]),
        Paragraph::Text(text) => label.label(text),
        Paragraph::Command(text) => label
            .label(*text)
            .selectable(true)
            .wrap_mode(gtk::pango::WrapMode::WordChar)
            .css_classes(["monospace"]),
    }
    .build()
}
