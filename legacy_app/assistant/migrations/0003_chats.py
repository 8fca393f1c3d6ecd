"""A kind of call that only the extracted service makes: no column changes, only what the admin's filter offers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("assistant", "0002_calls_of_a_day")]

    operations = [
        migrations.AlterField(
            model_name="call",
            name="kind",
            field=models.CharField(
                choices=[
                    ("summary", "Summary"),
                    ("reply", "Reply"),
                    ("triage", "Triage"),
                    ("search", "Search"),
                    ("ask", "Ask"),
                    ("reindex", "Reindex"),
                    ("chat", "Chat"),
                ],
                max_length=20,
            ),
        ),
    ]
